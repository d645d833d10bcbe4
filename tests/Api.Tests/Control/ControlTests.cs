using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Queue;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Control;

/// <summary>What pausing, resuming, cancelling and retrying do to the rows.</summary>
public sealed class ControlTests : ControlFixture
{
    [TestCase("draft", "pause", HttpStatusCode.Conflict, "draft")]
    [TestCase("queued", "pause", HttpStatusCode.OK, "paused")]
    [TestCase("running", "pause", HttpStatusCode.OK, "paused")]
    [TestCase("paused", "pause", HttpStatusCode.OK, "paused")]
    [TestCase("completed", "pause", HttpStatusCode.Conflict, "completed")]
    [TestCase("failed", "pause", HttpStatusCode.Conflict, "failed")]
    [TestCase("paused", "resume", HttpStatusCode.OK, "queued")]
    [TestCase("queued", "resume", HttpStatusCode.OK, "queued")]
    [TestCase("running", "resume", HttpStatusCode.OK, "running")]
    [TestCase("cancelled", "resume", HttpStatusCode.Conflict, "cancelled")]
    [TestCase("completed", "resume", HttpStatusCode.Conflict, "completed")]
    [TestCase("draft", "cancel", HttpStatusCode.OK, "cancelled")]
    [TestCase("queued", "cancel", HttpStatusCode.OK, "cancelled")]
    [TestCase("running", "cancel", HttpStatusCode.OK, "cancelled")]
    [TestCase("paused", "cancel", HttpStatusCode.OK, "cancelled")]
    [TestCase("cancelled", "cancel", HttpStatusCode.OK, "cancelled")]
    [TestCase("completed", "cancel", HttpStatusCode.Conflict, "completed")]
    [TestCase("failed", "retry", HttpStatusCode.OK, "queued")]
    [TestCase("cancelled", "retry", HttpStatusCode.OK, "queued")]
    [TestCase("pruned", "retry", HttpStatusCode.OK, "queued")]
    [TestCase("draft", "retry", HttpStatusCode.Conflict, "draft")]
    [TestCase("paused", "retry", HttpStatusCode.Conflict, "paused")]
    [TestCase("completed", "retry", HttpStatusCode.Conflict, "completed")]
    public async Task Action_FromAStatus_LeadsWhereItMay(string from, string action, HttpStatusCode answer, string to)
    {
        await PutAsync(Ids[0], from);

        var response = await Client.PostAsync($"/api/experiments/{Ids[0]}/{action}", null);

        if (answer == HttpStatusCode.Conflict)
            Assert.That((await ProblemAsync(response, answer)).GetProperty("detail").GetString(), Does.Contain(from));
        else
            Assert.That((await JsonAsync(response)).GetProperty("status").GetString(), Is.EqualTo(to));
        Assert.That(await StatusAsync(Ids[0]), Is.EqualTo(to));
    }

    [Test]
    public async Task Action_OnAnUnknownExperimentOrStudy_IsNotFound()
    {
        await ProblemAsync(await Client.PostAsync($"/api/experiments/{Guid.NewGuid()}/pause", null), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PostAsync($"/api/studies/{Guid.NewGuid()}/cancel", null), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Guid.NewGuid()}", new { name = "x" }), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Pause_OfAllOfATrajectory_LetsItRest_AndResumeLetsItWaitWithATicket()
    {
        var queue = Services.GetRequiredService<TicketQueue>();
        Assert.That((await ControlAsync($"/api/studies/{Study}/pause")).GetProperty("changed").GetInt32(), Is.EqualTo(6));
        Assert.That(await TrajectoriesAsync(), Is.EqualTo(new[] { "idle", "idle" }));

        var before = await queue.CountWaitingAsync(CancellationToken.None);
        await Client.PostAsync($"/api/experiments/{Ids[0]}/resume", null);
        Assert.That(await TrajectoriesAsync(), Is.EquivalentTo(new[] { "idle", "waiting" }));
        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before + 1));
    }

    [Test]
    public async Task Pause_OfARunningExperiment_TellsItsWorker_AndKeepsItsStep()
    {
        await TakeAsync(Ids[0], step: 70);
        var control = await ControlNumberAsync(Ids[0]);
        await using var listening = await Database.DataSource.OpenConnectionAsync();
        var told = new TaskCompletionSource<string>();
        listening.Notification += (_, notification) => told.TrySetResult(notification.Payload);
        await using (var listen = new NpgsqlCommand($"LISTEN {ControlChannel.Name}", listening))
            await listen.ExecuteNonQueryAsync();

        var paused = await JsonAsync(await Client.PostAsync($"/api/experiments/{Ids[0]}/pause", null));
        await Database.ExecuteAsync("UPDATE trajectories SET step = 90 WHERE status = 'running' AND model_id = $1", Model);

        await listening.WaitAsync(TimeSpan.FromSeconds(5));
        Assert.That(told.Task.IsCompletedSuccessfully && told.Task.Result == $"{await TrajectoryAsync(Ids[0])}");
        Assert.That(paused.GetProperty("step").GetInt32(), Is.EqualTo(70));
        Assert.That(await ControlNumberAsync(Ids[0]), Is.GreaterThan(control));
        Assert.That((await Client.GetFromJsonAsync<JsonElement>($"/api/experiments/{Ids[0]}")).GetProperty("step").GetInt32(), Is.EqualTo(70), "its siblings go on");
        Assert.That(await TrajectoriesAsync(), Does.Contain("running"));
    }

    [Test]
    public async Task Selection_ByIdsAndWhere_ChangesThose_AndCountsTheOthers()
    {
        await PutAsync(Ids[0], "completed");
        var stranger = Guid.NewGuid();
        var byIds = await ControlAsync("/api/experiments/pause", new { ids = new[] { Ids[0], Ids[1], stranger } });
        Assert.That(byIds.GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That(byIds.GetProperty("unchanged").GetProperty("completed").GetInt32(), Is.EqualTo(1));
        Assert.That(byIds.GetProperty("missing")[0].GetGuid(), Is.EqualTo(stranger));

        var byStatus = await ControlAsync("/api/experiments/cancel", new { where = new { modelId = Model, status = new[] { "paused" } } });
        Assert.That(byStatus.GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That(await StatusAsync(Ids[1]), Is.EqualTo("cancelled"));

        await PutAsync(Ids[2], "failed");
        var retried = await ControlAsync($"/api/studies/{Study}/retry");
        Assert.That(retried.GetProperty("changed").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public async Task Selection_OfMoreThanATransactionHolds_ChangesAll()
    {
        var model = await Database.ModelAsync();
        var generated = await JsonAsync(await Client.PostAsJsonAsync(
            $"/api/models/{model}/experiments",
            new { space = new { learningRate = new { min = 0.001, max = 0.002, count = 60 }, layers = new[] { 1, 2 }, steps = new { min = 100, max = 1000, step = 100 } } }));
        Assert.That(generated.GetProperty("experiments").GetArrayLength(), Is.EqualTo(1200));

        var result = await ControlAsync("/api/experiments/cancel", new { where = new { modelId = model } });

        Assert.That(result.GetProperty("changed").GetInt32(), Is.EqualTo(1200));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM trajectories WHERE model_id = $1 AND status <> 'idle'", model), Is.Zero);
    }

    [TestCase("""{}""", "ids")]
    [TestCase("""{"ids": [], "where": null}""", "ids")]
    [TestCase("""{"where": {}}""", "where")]
    [TestCase("""{"where": {"status": ["queued"]}}""", "where")]
    [TestCase("""{"where": {"modelId": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d", "status": ["sleeping"]}}""", "where.status[0]")]
    public async Task Selection_ThatSelectsNothingClear_IsRefused(string body, string field) =>
        await InvalidAsync(await PostRawAsync("/api/experiments/pause", body), field);

    [Test]
    public async Task Pause_WhileAWorkerMovesTheExperiment_FollowsIt()
    {
        await TakeAsync(Ids[2], step: 150, checkpoints: [120]);
        var other = await TrajectoryAsync(Ids[3]);
        await using var moving = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await moving.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("SELECT FROM trajectories WHERE id = ANY($1) ORDER BY id FOR UPDATE", moving, transaction))
        {
            command.Parameters.Add(new() { Value = new[] { await TrajectoryAsync(Ids[2]), other } });
            await command.ExecuteNonQueryAsync();
        }

        var pausing = Client.PostAsync($"/api/experiments/{Ids[2]}/pause", null);
        await Eventually.IsTrueAsync("the pause to wait", TimeSpan.FromSeconds(20), async () => await Database.ScalarAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'") > 0);
        await using (var move = new NpgsqlCommand("UPDATE experiments SET trajectory_id = $1 WHERE id = $2", moving, transaction))
        {
            move.Parameters.Add(new() { Value = other });
            move.Parameters.Add(new() { Value = Ids[2] });
            await move.ExecuteNonQueryAsync();
        }

        await transaction.CommitAsync();

        Assert.That((await pausing).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await StatusAsync(Ids[2]), Is.EqualTo("paused"));
    }

    [TestCase("pause")]
    [TestCase("cancel")]
    public async Task Action_ThatFreesAPlaceOfAFullStudy_WakesAWorkerForItsOtherTrajectory(string action)
    {
        var queue = Services.GetRequiredService<TicketQueue>();
        await Database.ExecuteAsync("UPDATE studies SET running_limit = 1 WHERE id = $1", Study);
        await TakeAsync(Ids[0], step: 10);
        var before = await queue.CountWaitingAsync(CancellationToken.None);

        await ControlAsync($"/api/experiments/{action}", new { ids = Ids[..2] });
        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before), "the third one still takes the place");
        await ControlAsync($"/api/experiments/{action}", new { ids = Ids[2..3] });

        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before + 1));
    }
}
