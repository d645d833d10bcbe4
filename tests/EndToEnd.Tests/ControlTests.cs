using System.Diagnostics;
using System.Text.Json;
using MlExperiments.Testing;
using static MlExperiments.EndToEnd.Tests.ExperimentAnswers;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>People change their minds while a real worker trains.</summary>
[TestFixture]
public sealed class ControlTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Some hundred steps a second, so that ten seconds and more remain of a training that is seen to have begun.</summary>
    private static readonly object Small = new { learningRate = 0.003, layers = 1, filters = 4, denseUnits = 16, batchSize = 96 };

    /// <summary>The steps of all the experiments below.</summary>
    private static readonly int[] Steps = [3000, 3300, 3600, 4000];

    private Stack _stack = null!;
    private Dictionary<int, string> _undisturbed = null!;

    [OneTimeSetUp]
    public async Task OneTimeSetUp()
    {
        _stack = await Stack.StartAsync();
        var (_, experiments) = await GenerateAsync(Steps);
        _undisturbed = [];
        foreach (var (steps, id) in Steps.Zip(experiments))
            _undisturbed[steps] = Hash(await WhenAsync(id, IsFinal));
    }

    [OneTimeTearDown]
    public async Task OneTimeTearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task Pause_StopsWithinASecond_AndResumeEndsWithTheUndisturbedResult()
    {
        var (model, experiments) = await GenerateAsync(3000);
        var id = experiments[0];
        await WhenAsync(id, experiment => Step(experiment) > 300);

        var clock = Stopwatch.StartNew();
        await _stack.PostAsync($"/api/experiments/{id}/pause");
        await Eventually.IsTrueAsync("the training to stop", Patience, async () => await RunningAsync(model) == 0);
        await TestContext.Progress.WriteLineAsync($"From asking to pause to a stored checkpoint: {clock.Elapsed.TotalSeconds:0.00} s");
        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(5)), "under a second on a machine with nothing else to do");
        var paused = await _stack.GetAsync($"/api/experiments/{id}");
        Assert.That((Status(paused), Step(paused)), Is.EqualTo(("paused", Step(paused))).And.Not.EqualTo(("paused", 0)));

        await _stack.PostAsync($"/api/experiments/{id}/resume");
        var resumed = await WhenAsync(id, HasEnded);

        var attempts = resumed.GetProperty("attempts").EnumerateArray().Reverse().ToList();
        Assert.That(attempts.Select(attempt => attempt.GetProperty("outcome").GetString()), Is.EqualTo(new[] { "stopped", "completed" }));
        Assert.That(attempts[1].GetProperty("fromStep").GetInt32(), Is.EqualTo(attempts[0].GetProperty("toStep").GetInt32()));
        Assert.That(Hash(resumed), Is.EqualTo(_undisturbed[3000]));
    }

    [Test]
    public async Task Pause_OfOneMilestone_LeavesTheOthersAlone_AndItGoesOnFromBeforeThem()
    {
        var (model, experiments) = await GenerateAsync(3000, 4000);
        await WhenAsync(experiments[0], experiment => Step(experiment) > 200);
        await _stack.PostAsync($"/api/experiments/{experiments[0]}/pause");

        var other = await WhenAsync(experiments[1], IsFinal);
        Assert.That(Status(await _stack.GetAsync($"/api/experiments/{experiments[0]}")), Is.EqualTo("paused"));
        await Eventually.IsTrueAsync("the trajectory to be given back", Patience, async () => await RunningAsync(model) == 0);
        await _stack.PostAsync($"/api/experiments/{experiments[0]}/resume");
        var first = await WhenAsync(experiments[0], IsFinal);

        Assert.That((Hash(first), Hash(other)), Is.EqualTo((_undisturbed[3000], _undisturbed[4000])));
    }

    [Test]
    public async Task Cancel_WhileTraining_EndsIt_AndRetryGoesOnFromItsCheckpoint()
    {
        var (model, experiments) = await GenerateAsync(3300);
        await WhenAsync(experiments[0], experiment => Step(experiment) > 300);
        await _stack.PostAsync($"/api/experiments/{experiments[0]}/cancel");
        await Eventually.IsTrueAsync("the training to stop", Patience, async () => await RunningAsync(model) == 0);
        var cancelled = await _stack.GetAsync($"/api/experiments/{experiments[0]}");
        Assert.That(Status(cancelled), Is.EqualTo("cancelled"));
        Assert.That(cancelled.GetProperty("finishedAt").ValueKind, Is.Not.EqualTo(JsonValueKind.Null));

        await _stack.PostAsync($"/api/experiments/{experiments[0]}/retry");
        var done = await WhenAsync(experiments[0], IsFinal);

        Assert.That(done.GetProperty("attempts")[0].GetProperty("fromStep").GetInt32(), Is.GreaterThan(0));
        Assert.That(Hash(done), Is.EqualTo(_undisturbed[3300]));
    }

    [Test]
    public async Task Steps_ChangedAndAddedWhileItTrains_AreMeasuredInTheSameAttempt()
    {
        var (model, experiments) = await GenerateAsync(3000);
        await WhenAsync(experiments[0], experiment => Step(experiment) > 200);
        await _stack.PatchAsync($"/api/experiments/{experiments[0]}", new { parameters = new { steps = 3600 } });
        var added = (await _stack.PostAsync($"/api/models/{model}/experiments", new { space = new { steps = new[] { 3300 } }, @fixed = Small }))
            .GetProperty("experiments")[0].GetProperty("id").GetString()!;

        var changed = await WhenAsync(experiments[0], IsFinal);
        var second = await WhenAsync(added, IsFinal);

        Assert.That(changed.GetProperty("attempts").GetArrayLength(), Is.EqualTo(1));
        Assert.That((Hash(changed), Hash(second)), Is.EqualTo((_undisturbed[3600], _undisturbed[3300])));
    }

    [Test]
    public async Task LearningRate_ChangedWhileItTrains_HoldsFromTheNextStepOn_AndItsSiblingsKeepTheirs()
    {
        var (_, experiments) = await GenerateAsync(3000, 4000);
        await WhenAsync(experiments[1], experiment => Step(experiment) > 300);
        await _stack.PatchAsync($"/api/experiments/{experiments[1]}", new { parameters = new { learningRate = 0.0002 } });

        var adjusted = await WhenAsync(experiments[1], IsFinal);
        var sibling = await WhenAsync(experiments[0], IsFinal);

        var change = adjusted.GetProperty("parameters").GetProperty("learningRateChanges")[0];
        Assert.Multiple(async () =>
        {
            Assert.That(Status(adjusted), Is.EqualTo("completed"));
            Assert.That(change.GetProperty("step").GetInt32(), Is.InRange(301, 3999));
            Assert.That(change.GetProperty("learningRate").GetDouble(), Is.EqualTo(0.0002));
            Assert.That(Hash(adjusted), Is.Not.EqualTo(_undisturbed[4000]));
            Assert.That(Hash(sibling), Is.EqualTo(_undisturbed[3000]));
        });

        // With the steps before the change, trained at the old rate: its first attempt is its parent's.
        var attempts = adjusted.GetProperty("attempts").EnumerateArray().ToList();
        Assert.That(attempts[0].GetProperty("fromStep").GetInt32(), Is.EqualTo(change.GetProperty("step").GetInt32()));
        Assert.That(attempts[^1].GetProperty("fromStep").GetInt32(), Is.Zero);
        var curve = (await _stack.GetAsync($"/api/experiments/{experiments[1]}/metrics")).GetProperty("curves").GetProperty("loss").EnumerateArray();
        Assert.That(curve.Select(point => point.GetProperty("step").GetInt32()), Is.EqualTo(Enumerable.Range(1, 40).Select(place => place * 100)));
    }

    [Test]
    public async Task Start_InTheFuture_IsWaitedFor()
    {
        var model = await NewModelAsync();
        var draft = (await _stack.PostAsync($"/api/models/{model}/experiments", new { space = new { steps = new[] { 50 } }, @fixed = Small, start = false }))
            .GetProperty("experiments")[0].GetProperty("id").GetString()!;
        var startAt = TimeProvider.System.GetUtcNow().AddSeconds(4);
        await _stack.PatchAsync($"/api/experiments/{draft}", new { startAt });
        await _stack.PostAsync($"/api/models/{model}/train");

        var done = await WhenAsync(draft, IsFinal);
        Assert.That(done.GetProperty("startedAt").GetDateTimeOffset(), Is.GreaterThan(startAt).And.LessThan(startAt.AddSeconds(20)));
    }

    private async Task<(string Model, string[] Experiments)> GenerateAsync(params int[] steps)
    {
        var model = await NewModelAsync();
        var study = await _stack.PostAsync($"/api/models/{model}/experiments", new { space = new { steps }, @fixed = Small });
        return (model, [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetString()!)]);
    }

    /// <summary>The same images for each.</summary>
    private async Task<string> NewModelAsync()
    {
        var model = await _stack.CreateModelAsync($"Control {Guid.NewGuid():N}");
        await _stack.UploadAsync(model, DrawnDigits.Zip(perDigit: 30));
        return model;
    }

    private Task<JsonElement> WhenAsync(string id, Func<JsonElement, bool> accept) =>
        Eventually.GetAsync($"experiment {id}", Patience, () => _stack.GetAsync($"/api/experiments/{id}"), accept);

    private Task<long> RunningAsync(string model) =>
        _stack.CountAsync($"SELECT count(*) FROM trajectories WHERE model_id = '{model}' AND status = 'running'");
}
