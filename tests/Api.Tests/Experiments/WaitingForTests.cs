using System.Net;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>What queued experiments are said to wait for. Each test clears the line and the workers first.</summary>
[NonParallelizable]
public sealed class WaitingForTests : ApiFixture
{
    private const string Three = """{"space": {"learningRate": [0.1, 0.2, 0.3], "steps": [10, 20]}, "fixed": {"layers": 1}""";

    [SetUp]
    public async Task ClearAsync()
    {
        await Database.ExecuteAsync("DELETE FROM models");
        await Database.ExecuteAsync("DELETE FROM workers");
    }

    [Test]
    public async Task Queued_WithoutAWorker_WaitsForOne()
    {
        await Database.WorkerAsync("silent", seenSecondsAgo: 100);

        Assert.That((await QueueAsync(Three + "}")).Values, Is.All.EqualTo("a worker: none was seen within the last 30 seconds"));
    }

    [Test]
    public async Task Queued_WithoutAWorkerThatHasItsTrainer_WaitsForSuchAWorker()
    {
        await Database.WorkerAsync("able to do other things");
        await Database.ExecuteAsync("UPDATE workers SET trainers = '{another, third}'");

        Assert.That(
            (await QueueAsync(Three + "}")).Values,
            Is.All.EqualTo("a worker with the trainer torch: those seen within the last 30 seconds have another, third"));
    }

    [Test]
    public async Task Queued_InALine_SaysHowManyComeFirst()
    {
        await Database.WorkerAsync("busy", slots: 2, busySlots: 2);

        var reasons = await QueueAsync(Three + "}");
        await Database.ExecuteAsync("UPDATE trajectories SET priority = 1 WHERE parameters->>'learningRate' = '0.3'");
        var after = await ReasonsAsync();

        Assert.That(reasons[0.1], Is.EqualTo("a free slot: all 2 are busy"));
        Assert.That(reasons[0.2], Is.EqualTo("a free slot: all 2 are busy, and another trajectory comes first"));
        Assert.That(reasons[0.3], Is.EqualTo("a free slot: all 2 are busy, and 2 other trajectories come first"));
        Assert.That(after[0.3], Is.EqualTo("a free slot: all 2 are busy"));
        Assert.That(after[0.1], Is.EqualTo("a free slot: all 2 are busy, and another trajectory comes first"));
    }

    [Test]
    public async Task Queued_WithFreeSlots_IsAboutToBeTaken_UnlessMoreComeFirst()
    {
        await Database.WorkerAsync("half busy", slots: 2, busySlots: 1);
        await Database.WorkerAsync("idle", slots: 1);
        await Database.WorkerAsync("stopped", slots: 8);
        await Database.ExecuteAsync("UPDATE workers SET stopped_at = now() WHERE name = 'stopped'");

        var reasons = await QueueAsync(Three + "}");

        Assert.That(reasons[0.1], Is.EqualTo("a free slot, which is about to take it"));
        Assert.That(reasons[0.2], Is.EqualTo("a free slot, which is about to take it"));
        Assert.That(reasons[0.3], Is.EqualTo("a free slot: 2 other trajectories come first"));
    }

    [Test]
    public async Task Queued_BehindMoreThanAThousand_SaysSo()
    {
        await Database.WorkerAsync("busy", slots: 1, busySlots: 1);
        await PostRawAsync(
            $"/api/models/{await Database.ModelAsync()}/experiments",
            """{"space": {"seed": {"min": 1, "max": 1001, "step": 1}}, "fixed": {"learningRate": 1, "layers": 1, "steps": 1}}""");

        var reasons = await QueueAsync(Three + "}");

        Assert.That(reasons[0.1], Is.EqualTo("a free slot: the only one is busy, and more than 1,000 other trajectories come first"));
    }

    [Test]
    public async Task Queued_InAFullStudy_WaitsForItsLimit_AndOthersPassIt()
    {
        await Database.WorkerAsync("busy", slots: 2, busySlots: 1);
        await QueueAsync(Three + """, "limits": {"running": 1}}""");
        await Database.ExecuteAsync(
            """
            UPDATE trajectories SET status = 'running', waiting_since = NULL, lease_until = now() + interval '15 s', worker_id = gen_random_uuid(), step = 7
            WHERE parameters->>'learningRate' = '0.1'
            """);
        await Database.ExecuteAsync("UPDATE experiments SET status = 'running' WHERE parameters->>'learningRate' = '0.1' AND total_steps = 10");

        var reasons = await ReasonsAsync();
        var others = await QueueAsync("""{"fixed": {"learningRate": 0.5, "layers": 1, "steps": 10}}""");

        Assert.That(reasons[0.1], Is.EqualTo("its trajectory, which is at step 7 for another experiment"));
        Assert.That(reasons[0.2], Is.EqualTo("its study's limit: one of its trajectories trains, and no more may"));
        Assert.That(reasons[0.3], Is.EqualTo(reasons[0.2]));
        Assert.That(others[0.5], Is.EqualTo("a free slot, which is about to take it"));
    }

    /// <summary>Generates on a model of its own; the reasons of what is queued, by learning rate.</summary>
    private async Task<Dictionary<double, string>> QueueAsync(string body)
    {
        var response = await PostRawAsync($"/api/models/{await Database.ModelAsync()}/experiments", body);
        var study = await JsonAsync(response);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), study.ToString());
        return Reasons(study.GetProperty("experiments"));
    }

    private async Task<Dictionary<double, string>> ReasonsAsync() =>
        Reasons((await JsonAsync(await Client.GetAsync("/api/experiments?status=queued&limit=500"))).GetProperty("items"));

    private static Dictionary<double, string> Reasons(JsonElement experiments) => experiments.EnumerateArray()
        .GroupBy(experiment => experiment.GetProperty("parameters").GetProperty("learningRate").GetDouble())
        .ToDictionary(group => group.Key, group => group.Select(experiment => experiment.GetProperty("waitingFor").GetString()!).Distinct().Single());
}
