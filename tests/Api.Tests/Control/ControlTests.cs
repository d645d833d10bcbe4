using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Queue;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Control;

/// <summary>What control does to the rows; what workers make of it is tested with workers.</summary>
public sealed class ControlTests : ApiFixture
{
    private Guid _model;

    /// <summary>Six experiments on two trajectories of three milestones each.</summary>
    private Guid[] _ids = null!;

    private Guid _study;

    [SetUp]
    public async Task GenerateAsync()
    {
        _model = await Database.ModelAsync();
        var response = await Client.PostAsJsonAsync(
            $"/api/models/{_model}/experiments", new { space = new { learningRate = new[] { 0.001, 0.01 }, layers = new[] { 1 }, steps = new[] { 100, 200, 400 } } });
        var study = await JsonAsync(response);
        _study = study.GetProperty("id").GetGuid();
        _ids = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
    }

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
        await PutAsync(_ids[0], from);

        var response = await Client.PostAsync($"/api/experiments/{_ids[0]}/{action}", null);

        if (answer == HttpStatusCode.Conflict)
            Assert.That((await ProblemAsync(response, answer)).GetProperty("detail").GetString(), Does.Contain(from));
        else
            Assert.That((await JsonAsync(response)).GetProperty("status").GetString(), Is.EqualTo(to));
        Assert.That(await StatusAsync(_ids[0]), Is.EqualTo(to));
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
        var queue = Services.GetRequiredService<IJobQueue>();
        Assert.That((await ControlAsync($"/api/studies/{_study}/pause")).GetProperty("changed").GetInt32(), Is.EqualTo(6));
        Assert.That(await TrajectoriesAsync(), Is.EqualTo(new[] { "idle", "idle" }));

        var before = await queue.CountWaitingAsync(CancellationToken.None);
        await Client.PostAsync($"/api/experiments/{_ids[0]}/resume", null);
        Assert.That(await TrajectoriesAsync(), Is.EquivalentTo(new[] { "idle", "waiting" }));
        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before + 1));
    }

    [Test]
    public async Task Pause_OfARunningExperiment_TellsItsWorker_AndKeepsItsStep()
    {
        await TakeAsync(_ids[0], step: 70);
        var control = await ControlNumberAsync(_ids[0]);
        await using var listening = await Database.DataSource.OpenConnectionAsync();
        var told = new TaskCompletionSource<string>();
        listening.Notification += (_, notification) => told.TrySetResult(notification.Payload);
        await using (var listen = new NpgsqlCommand($"LISTEN {ControlChannel.Name}", listening))
            await listen.ExecuteNonQueryAsync();

        var paused = await JsonAsync(await Client.PostAsync($"/api/experiments/{_ids[0]}/pause", null));
        await Database.ExecuteAsync("UPDATE trajectories SET step = 90 WHERE status = 'running' AND model_id = $1", _model);

        await listening.WaitAsync(TimeSpan.FromSeconds(5));
        Assert.That(told.Task.IsCompletedSuccessfully && told.Task.Result == $"{await TrajectoryAsync(_ids[0])}");
        Assert.That(paused.GetProperty("step").GetInt32(), Is.EqualTo(70));
        Assert.That(await ControlNumberAsync(_ids[0]), Is.GreaterThan(control));
        Assert.That((await Client.GetFromJsonAsync<JsonElement>($"/api/experiments/{_ids[0]}")).GetProperty("step").GetInt32(), Is.EqualTo(70), "its siblings go on");
        Assert.That(await TrajectoriesAsync(), Does.Contain("running"));
    }

    [Test]
    public async Task Selection_ByIdsAndWhere_ChangesThose_AndCountsTheOthers()
    {
        await PutAsync(_ids[0], "completed");
        var stranger = Guid.NewGuid();
        var byIds = await ControlAsync("/api/experiments/pause", new { ids = new[] { _ids[0], _ids[1], stranger } });
        Assert.That(byIds.GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That(byIds.GetProperty("unchanged").GetProperty("completed").GetInt32(), Is.EqualTo(1));
        Assert.That(byIds.GetProperty("missing")[0].GetGuid(), Is.EqualTo(stranger));

        var byStatus = await ControlAsync("/api/experiments/cancel", new { where = new { modelId = _model, status = new[] { "paused" } } });
        Assert.That(byStatus.GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That(await StatusAsync(_ids[1]), Is.EqualTo("cancelled"));

        await PutAsync(_ids[2], "failed");
        var retried = await ControlAsync($"/api/studies/{_study}/retry");
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
    public async Task Update_OfNamePriorityAndStart_Shows_AndOrdersItsTrajectory()
    {
        var startAt = TimeProvider.System.GetUtcNow().AddHours(1);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { name = " late ", priority = 7, startAt }));

        Assert.Multiple(() =>
        {
            Assert.That(updated.GetProperty("name").GetString(), Is.EqualTo("late"));
            Assert.That(updated.GetProperty("priority").GetInt32(), Is.EqualTo(7));
            Assert.That(updated.GetProperty("startAt").GetDateTimeOffset(), Is.EqualTo(startAt).Within(TimeSpan.FromMilliseconds(1)));
            Assert.That(updated.GetProperty("waitingFor").GetString(), Does.Contain("start"));
        });
        Assert.That(await Database.ScalarAsync<int>("SELECT priority FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", _ids[0]), Is.EqualTo(7));
        // Its siblings may start at once.
        Assert.That(await Database.ScalarAsync<bool>("SELECT start_at IS NULL FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", _ids[0]), Is.True);
    }

    [Test]
    public async Task Parameters_BeforeTheFirstStep_MayAllChange()
    {
        var updated = await JsonAsync(await Client.PatchAsJsonAsync(
            $"/api/experiments/{_ids[0]}", new { parameters = new { layers = 3, dropout = 0.25, steps = 150, learningRate = 0.005 } }));

        var parameters = updated.GetProperty("parameters");
        Assert.That(
            (parameters.GetProperty("layers").GetInt32(), parameters.GetProperty("dropout").GetDouble(), updated.GetProperty("totalSteps").GetInt32()),
            Is.EqualTo((3, 0.25, 150)));
        Assert.That(parameters.TryGetProperty("learningRateChanges", out _), Is.False);
        Assert.That(updated.GetProperty("status").GetString(), Is.EqualTo("queued"));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM trajectories WHERE model_id = $1 AND status = 'waiting'", _model), Is.EqualTo(3));

        // What was generated so is the same experiment.
        var again = await JsonAsync(await Client.PostAsJsonAsync(
            $"/api/models/{_model}/experiments", new { @fixed = new { layers = 3, dropout = 0.25, steps = 150, learningRate = 0.005 }, space = new { } }));
        Assert.That(again.GetProperty("existing")[0].GetProperty("id").GetGuid(), Is.EqualTo(_ids[0]));
    }

    [Test]
    public async Task Parameters_ThatAnotherExperimentHas_AreRefused()
    {
        var problem = await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { steps = 200 } }), HttpStatusCode.Conflict);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("Experiment 2"));
    }

    [Test]
    public async Task LearningRate_OfAPausedExperiment_ForksItsTrajectoryAtTheCheckpoint()
    {
        await TakeAsync(_ids[2], step: 150, checkpoints: [50, 120]);
        await ReleaseAsync();
        await Client.PostAsync($"/api/experiments/{_ids[2]}/pause", null);

        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { learningRate = 0.0001 } }));

        var parameters = updated.GetProperty("parameters");
        var change = parameters.GetProperty("learningRateChanges")[0];
        Assert.Multiple(() =>
        {
            Assert.That(updated.GetProperty("status").GetString(), Is.EqualTo("paused"));
            Assert.That(parameters.GetProperty("learningRate").GetDouble(), Is.EqualTo(0.001), "where it began");
            Assert.That((change.GetProperty("step").GetInt32(), change.GetProperty("learningRate").GetDouble()), Is.EqualTo((120, 0.0001)));
            Assert.That(updated.GetProperty("adjustment").ValueKind, Is.EqualTo(JsonValueKind.Null));
        });
        const string own = "SELECT trajectory_id FROM experiments WHERE id = $1";
        Assert.That(await Database.ScalarAsync<int>($"SELECT forked_at_step FROM trajectories WHERE id = ({own})", _ids[2]), Is.EqualTo(120));
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM checkpoints WHERE trajectory_id = ({own})", _ids[2]), Is.EqualTo(2));
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM experiments WHERE trajectory_id = ({own})", _ids[2]), Is.EqualTo(1));

        // Another one that is adjusted in the same way shares its training.
        await Database.ExecuteAsync("UPDATE experiments SET status = 'paused', started_at = now() WHERE id = $1", _ids[1]);
        await Client.PatchAsJsonAsync($"/api/experiments/{_ids[1]}", new { parameters = new { learningRate = 0.0001 } });
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM experiments WHERE trajectory_id = ({own})", _ids[2]), Is.EqualTo(2));
    }

    [Test]
    public async Task LearningRate_OfARunningExperiment_WaitsForTheNextStepBoundary()
    {
        await TakeAsync(_ids[0], step: 70);
        var control = await ControlNumberAsync(_ids[0]);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { learningRate = 0.0001, steps = 300 } }));

        Assert.That(updated.GetProperty("adjustment").GetProperty("learningRate").GetDouble(), Is.EqualTo(0.0001));
        Assert.That(updated.GetProperty("adjustment").GetProperty("steps").GetInt32(), Is.EqualTo(300));
        Assert.That(updated.GetProperty("parameters").TryGetProperty("learningRateChanges", out _), Is.False);
        Assert.That(await ControlNumberAsync(_ids[0]), Is.GreaterThan(control));
    }

    [Test]
    public async Task Steps_OfARunningExperiment_ChangeAtOnce_ButNotToWhatIsPassed()
    {
        await TakeAsync(_ids[2], step: 150);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { steps = 600 } }));
        Assert.That((updated.GetProperty("totalSteps").GetInt32(), updated.GetProperty("status").GetString()), Is.EqualTo((600, "running")));

        await InvalidAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { steps = 150 } }), "parameters.steps");
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { layers = 2 } }), HttpStatusCode.Conflict);
        await PutAsync(_ids[2], "completed");
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { steps = 900 } }), HttpStatusCode.Conflict);
    }

    [Test]
    public async Task Adjustment_ThatWaits_KeepsItsSteps_WhenOnlyTheRateIsReplaced()
    {
        await TakeAsync(_ids[2], step: 70);
        await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { learningRate = 0.0001, steps = 900 } });
        var replaced = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { learningRate = 0.0002 } }));
        Assert.That(replaced.GetProperty("adjustment").ToString(), Is.EqualTo("""{"learningRate":0.0002,"steps":900}"""));

        // Back to the rate that it has: only the steps are left, and need not wait.
        var taken = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { learningRate = 0.001 } }));
        Assert.That(taken.GetProperty("adjustment").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(taken.GetProperty("totalSteps").GetInt32(), Is.EqualTo(900));
    }

    [Test]
    public async Task LearningRate_OfAPausedExperiment_ThatAnotherHas_IsRefused_AndLeavesItAsItIs()
    {
        await TakeAsync(_ids[1], step: 150, checkpoints: [120]);
        await ReleaseAsync();
        await ControlAsync("/api/experiments/pause", new { ids = _ids[1..3] });
        await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[1]}", new { parameters = new { learningRate = 0.0001, steps = 400 } }));

        var problem = await ProblemAsync(
            await Client.PatchAsJsonAsync($"/api/experiments/{_ids[2]}", new { parameters = new { learningRate = 0.0001 } }), HttpStatusCode.Conflict);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("Experiment 2"));
        Assert.That(await StatusAsync(_ids[2]), Is.EqualTo("paused"));
    }

    [Test]
    public async Task Parameters_GivenToTwoAtOnce_AreTakenByOne()
    {
        for (var round = 0; round < 10; round++)
        {
            var body = new { parameters = new { dropout = 0.1 + (round * 0.01), layers = 3, learningRate = 0.005, steps = 77 } };
            var answers = await Task.WhenAll(new[] { _ids[0], _ids[3] }.Select(id => Client.PatchAsJsonAsync($"/api/experiments/{id}", body)));
            Assert.That(answers.Select(answer => answer.StatusCode), Is.EquivalentTo(new[] { HttpStatusCode.OK, HttpStatusCode.Conflict }));
        }
    }

    [Test]
    public async Task Pause_WhileAWorkerMovesTheExperiment_FollowsIt()
    {
        await TakeAsync(_ids[2], step: 150, checkpoints: [120]);
        var other = await TrajectoryAsync(_ids[3]);
        await using var moving = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await moving.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("SELECT FROM trajectories WHERE id = ANY($1) ORDER BY id FOR UPDATE", moving, transaction))
        {
            command.Parameters.Add(new() { Value = new[] { await TrajectoryAsync(_ids[2]), other } });
            await command.ExecuteNonQueryAsync();
        }

        var pausing = Client.PostAsync($"/api/experiments/{_ids[2]}/pause", null);
        await Eventually.IsTrueAsync("the pause to wait", TimeSpan.FromSeconds(20), async () => await Database.ScalarAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'") > 0);
        await using (var move = new NpgsqlCommand("UPDATE experiments SET trajectory_id = $1 WHERE id = $2", moving, transaction))
        {
            move.Parameters.Add(new() { Value = other });
            move.Parameters.Add(new() { Value = _ids[2] });
            await move.ExecuteNonQueryAsync();
        }

        await transaction.CommitAsync();

        Assert.That((await pausing).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await StatusAsync(_ids[2]), Is.EqualTo("paused"));
    }

    [Test]
    public async Task Momentum_WithoutSgd_IsRefused_AndForgottenWithIt()
    {
        await InvalidAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { momentum = 0.9 } }), "parameters.momentum");
        var sgd = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { optimizer = "sgd", momentum = 0.9 } }));
        var adam = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { optimizer = "adam" } }));

        Assert.That(sgd.GetProperty("parameters").GetProperty("momentum").GetDouble(), Is.EqualTo(0.9));
        Assert.That(adam.GetProperty("parameters").GetProperty("momentum").GetDouble(), Is.Zero);
    }

    [Test]
    public async Task Architecture_BeforeTheFirstStep_MayChange_AndTakesWhatOnlyTheOtherUsesAlong()
    {
        var residual = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{_ids[0]}", new { parameters = new { architecture = "resnet18", patience = 3 } }));
        Assert.That(residual.GetProperty("parameters").GetProperty("layers").GetInt32(), Is.EqualTo(1));
        Assert.That(residual.GetProperty("parameters").GetProperty("patience").GetInt32(), Is.EqualTo(3));
        foreach (var unused in new[] { "filters", "layers", "decayEvery" })
            await InvalidAsync(await PatchAsync($"{{\"parameters\": {{\"{unused}\": 5}}}}"), $"parameters.{unused}");

        Task<HttpResponseMessage> PatchAsync(string body) =>
            Client.PatchAsync($"/api/experiments/{_ids[0]}", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
    }

    [TestCase("""{}""", "name")]
    [TestCase("""{"name": ""}""", "name")]
    [TestCase("""{"priority": 1001}""", "priority")]
    [TestCase("""{"startAt": "2999-01-01T00:00:00Z"}""", "startAt")]
    [TestCase("""{"startAt": "tomorrow"}""", "startAt")]
    [TestCase("""{"parameters": {"speed": 1}}""", "parameters.speed")]
    [TestCase("""{"parameters": {"epochs": 1}}""", "parameters.epochs")]
    [TestCase("""{"parameters": {"learningRate": -1}}""", "parameters.learningRate")]
    [TestCase("""{"parameters": {"layers": 1.5}}""", "parameters.layers")]
    [TestCase("""{"parameters": {"steps": "many"}}""", "parameters.steps")]
    public async Task Update_ThatIsWrong_NamesTheField(string body, string field)
    {
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        await InvalidAsync(await Client.PatchAsync($"/api/experiments/{_ids[0]}", content), field);
    }

    [TestCase("pause")]
    [TestCase("cancel")]
    public async Task Action_ThatFreesAPlaceOfAFullStudy_WakesAWorkerForItsOtherTrajectory(string action)
    {
        var queue = Services.GetRequiredService<IJobQueue>();
        await Database.ExecuteAsync("UPDATE studies SET running_limit = 1 WHERE id = $1", _study);
        await TakeAsync(_ids[0], step: 10);
        var before = await queue.CountWaitingAsync(CancellationToken.None);

        await ControlAsync($"/api/experiments/{action}", new { ids = _ids[..2] });
        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before), "the third one still takes the place");
        await ControlAsync($"/api/experiments/{action}", new { ids = _ids[2..3] });

        Assert.That(await queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(before + 1));
    }

    private async Task<JsonElement> ControlAsync(string path, object? body = null)
    {
        var response = body is null ? await Client.PostAsync(path, null) : await Client.PostAsJsonAsync(path, body);
        var json = await JsonAsync(response);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), json.ToString());
        return json;
    }

    private Task<int> PutAsync(Guid id, string status) => Database.ExecuteAsync(
        """
        UPDATE experiments SET status = $2, error = CASE WHEN $2 = 'failed' THEN 'broken' END,
               accuracy = CASE WHEN $2 = 'completed' THEN 0.5 END, weights_blob = CASE WHEN $2 = 'completed' THEN repeat('a', 64) END,
               finished_at = CASE WHEN $2 = 'completed' THEN now() END, started_at = CASE WHEN $2 IN ('completed', 'failed') THEN now() END
        WHERE id = $1
        """,
        id, status);

    /// <summary>As if a worker trained its trajectory.</summary>
    private async Task TakeAsync(Guid id, int step, int[]? checkpoints = null)
    {
        await Database.ExecuteAsync(
            """
            UPDATE trajectories SET status = 'running', fence = fence + 1, lease_until = now() + interval '1 minute', worker_id = gen_random_uuid(),
                   waiting_since = NULL, step = $2 WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)
            """,
            id, step);
        await Database.ExecuteAsync(
            "UPDATE experiments SET status = 'running', started_at = now() WHERE trajectory_id = (SELECT trajectory_id FROM experiments WHERE id = $1)", id);
        foreach (var at in checkpoints ?? [])
            await Database.ExecuteAsync(
                """
                INSERT INTO checkpoints (id, trajectory_id, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at)
                SELECT gen_random_uuid(), trajectory_id, $2, repeat('c', 64), 10, 1, 'libtorch', '1', 'cpu', now() FROM experiments WHERE id = $1
                """,
                id, at);
    }

    private Task<int> ReleaseAsync() => Database.ExecuteAsync(
        "UPDATE trajectories SET status = 'idle', lease_until = NULL, worker_id = NULL WHERE model_id = $1 AND status = 'running'", _model);

    private Task<string> StatusAsync(Guid id) => Database.ScalarAsync<string>("SELECT status FROM experiments WHERE id = $1", id);

    private Task<long> ControlNumberAsync(Guid id) =>
        Database.ScalarAsync<long>("SELECT control FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", id);

    private Task<Guid> TrajectoryAsync(Guid id) => Database.ScalarAsync<Guid>("SELECT trajectory_id FROM experiments WHERE id = $1", id);

    private Task<string[]> TrajectoriesAsync() =>
        Database.ScalarAsync<string[]>("SELECT array_agg(status ORDER BY id) FROM trajectories WHERE model_id = $1", _model);
}
