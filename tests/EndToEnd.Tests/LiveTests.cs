using System.Text.Json;
using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>A training as those see it who watch it.</summary>
[TestFixture]
public sealed class LiveTests
{
    private Stack _stack = null!;

    [OneTimeSetUp]
    public async Task OneTimeSetUp() => _stack = await Stack.StartAsync();

    [OneTimeTearDown]
    public async Task OneTimeTearDown() => await _stack.DisposeAsync();

    [Test, Order(1)]
    public async Task Experiment_Watched_IsSeenFromQueuedToCompleted()
    {
        var modelId = await _stack.CreateModelAsync("Watched");
        await _stack.UploadAsync(modelId, DrawnDigits.Zip(perDigit: 40));
        await using var all = await EventStreamReader.OpenAsync(_stack.Http, $"/api/models/{modelId}/events");
        var study = await _stack.PostAsync(
            $"/api/models/{modelId}/experiments",
            new { space = new { learningRate = new[] { 0.003 }, layers = new[] { 2 }, steps = new[] { 600 } }, @fixed = new { batchSize = 64 }, start = false });
        var id = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        await using var stream = await EventStreamReader.OpenAsync(_stack.Http, $"/api/experiments/{id}/events");
        await stream.WhenCaughtUpAsync();

        await _stack.PostAsync($"/api/models/{modelId}/train");
        await stream.WhenAsync("its end", events => events.Exists(told => told.Status == "completed"), TimeSpan.FromMinutes(2));
        await all.FindAsync("its end", told => told.Id == id && told.Status == "completed");

        var events = stream.Events;
        var running = events.Where(told => told.Status == "running").Select(told => told.Data).ToList();
        var steps = events.Select(told => told.Data.GetProperty("step").GetInt32()).ToList();
        await TestContext.Progress.WriteLineAsync($"Seen: {string.Join(", ", events.Select(told => $"{told.Status} {told.Data.GetProperty("step")}"))}");
        Assert.That(events[0].Status, Is.EqualTo("draft"));
        Assert.That(steps, Is.Ordered);
        Assert.That(running, Has.Some.Matches<JsonElement>(data =>
            data.GetProperty("stepsPerSecond").ValueKind == JsonValueKind.Number
            && data.GetProperty("secondsLeft").GetDouble() > 0
            && data.GetProperty("trainLoss").ValueKind == JsonValueKind.Number
            && data.GetProperty("validationAccuracy").ValueKind == JsonValueKind.Number));
        Assert.That(events[^1].Data.GetProperty("step").GetInt32(), Is.EqualTo(600));
        Assert.That(events[^1].Data.GetProperty("accuracy").GetDouble(), Is.GreaterThan(0));
    }

    // The last: nothing is served after it.
    [Test, Order(2)]
    public async Task Service_AskedToStop_DoesNotWaitForWhoWatches()
    {
        await using var stream = await EventStreamReader.OpenAsync(_stack.Http, "/api/events");
        await stream.WhenCaughtUpAsync();

        Assert.That(await _stack.Api.StopAsync(within: TimeSpan.FromSeconds(5)), Is.Zero);
        await stream.Ended.WaitAsync(TimeSpan.FromSeconds(5));
    }
}
