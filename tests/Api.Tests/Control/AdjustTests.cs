using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Control;

/// <summary>What changes of experiments do to the rows: their names, places in the queue and parameters, before and while they train.</summary>
public sealed class AdjustTests : ControlFixture
{
    [Test]
    public async Task Update_OfNamePriorityAndStart_Shows_AndOrdersItsTrajectory()
    {
        var startAt = TimeProvider.System.GetUtcNow().AddHours(1);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { name = " late ", priority = 7, startAt }));

        Assert.Multiple(() =>
        {
            Assert.That(updated.GetProperty("name").GetString(), Is.EqualTo("late"));
            Assert.That(updated.GetProperty("priority").GetInt32(), Is.EqualTo(7));
            Assert.That(updated.GetProperty("startAt").GetDateTimeOffset(), Is.EqualTo(startAt).Within(TimeSpan.FromMilliseconds(1)));
            Assert.That(updated.GetProperty("waitingFor").GetString(), Does.Contain("start"));
        });
        Assert.That(await Database.ScalarAsync<int>("SELECT priority FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", Ids[0]), Is.EqualTo(7));
        // Its siblings may start at once.
        Assert.That(await Database.ScalarAsync<bool>("SELECT start_at IS NULL FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", Ids[0]), Is.True);
    }

    [Test]
    public async Task Parameters_BeforeTheFirstStep_MayAllChange()
    {
        var updated = await JsonAsync(await Client.PatchAsJsonAsync(
            $"/api/experiments/{Ids[0]}", new { parameters = new { layers = 3, dropout = 0.25, steps = 150, learningRate = 0.005 } }));

        var parameters = updated.GetProperty("parameters");
        Assert.That(
            (parameters.GetProperty("layers").GetInt32(), parameters.GetProperty("dropout").GetDouble(), updated.GetProperty("totalSteps").GetInt32()),
            Is.EqualTo((3, 0.25, 150)));
        Assert.That(parameters.TryGetProperty("learningRateChanges", out _), Is.False);
        Assert.That(updated.GetProperty("status").GetString(), Is.EqualTo("queued"));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM trajectories WHERE model_id = $1 AND status = 'waiting'", Model), Is.EqualTo(3));

        // What was generated so is the same experiment.
        var again = await JsonAsync(await Client.PostAsJsonAsync(
            $"/api/models/{Model}/experiments", new { @fixed = new { layers = 3, dropout = 0.25, steps = 150, learningRate = 0.005 }, space = new { } }));
        Assert.That(again.GetProperty("existing")[0].GetProperty("id").GetGuid(), Is.EqualTo(Ids[0]));
    }

    [Test]
    public async Task Parameters_ThatAnotherExperimentHas_AreRefused()
    {
        var problem = await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { steps = 200 } }), HttpStatusCode.Conflict);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("Experiment 2"));
    }

    [Test]
    public async Task LearningRate_OfAPausedExperiment_ForksItsTrajectoryAtTheCheckpoint()
    {
        await TakeAsync(Ids[2], step: 150, checkpoints: [50, 120]);
        await ReleaseAsync();
        await Client.PostAsync($"/api/experiments/{Ids[2]}/pause", null);

        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { learningRate = 0.0001 } }));

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
        Assert.That(await Database.ScalarAsync<int>($"SELECT forked_at_step FROM trajectories WHERE id = ({own})", Ids[2]), Is.EqualTo(120));
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM checkpoints WHERE trajectory_id = ({own})", Ids[2]), Is.EqualTo(2));
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM experiments WHERE trajectory_id = ({own})", Ids[2]), Is.EqualTo(1));

        // Another one that is adjusted in the same way shares its training.
        await Database.ExecuteAsync("UPDATE experiments SET status = 'paused', started_at = now() WHERE id = $1", Ids[1]);
        await Client.PatchAsJsonAsync($"/api/experiments/{Ids[1]}", new { parameters = new { learningRate = 0.0001 } });
        Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM experiments WHERE trajectory_id = ({own})", Ids[2]), Is.EqualTo(2));
    }

    [Test]
    public async Task LearningRate_OfARunningExperiment_WaitsForTheNextStepBoundary()
    {
        await TakeAsync(Ids[0], step: 70);
        var control = await ControlNumberAsync(Ids[0]);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { learningRate = 0.0001, steps = 300 } }));

        Assert.That(updated.GetProperty("adjustment").GetProperty("learningRate").GetDouble(), Is.EqualTo(0.0001));
        Assert.That(updated.GetProperty("adjustment").GetProperty("steps").GetInt32(), Is.EqualTo(300));
        Assert.That(updated.GetProperty("parameters").TryGetProperty("learningRateChanges", out _), Is.False);
        Assert.That(await ControlNumberAsync(Ids[0]), Is.GreaterThan(control));
    }

    [Test]
    public async Task Steps_OfARunningExperiment_ChangeAtOnce_ButNotToWhatIsPassed()
    {
        await TakeAsync(Ids[2], step: 150);
        var updated = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { steps = 600 } }));
        Assert.That((updated.GetProperty("totalSteps").GetInt32(), updated.GetProperty("status").GetString()), Is.EqualTo((600, "running")));

        await InvalidAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { steps = 150 } }), "parameters.steps");
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { layers = 2 } }), HttpStatusCode.Conflict);
        await PutAsync(Ids[2], "completed");
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { steps = 900 } }), HttpStatusCode.Conflict);
    }

    [Test]
    public async Task Adjustment_ThatWaits_KeepsItsSteps_WhenOnlyTheRateIsReplaced()
    {
        await TakeAsync(Ids[2], step: 70);
        await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { learningRate = 0.0001, steps = 900 } });
        var replaced = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { learningRate = 0.0002 } }));
        Assert.That(replaced.GetProperty("adjustment").ToString(), Is.EqualTo("""{"learningRate":0.0002,"steps":900}"""));

        // Back to the rate that it has: only the steps are left, and need not wait.
        var taken = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { learningRate = 0.001 } }));
        Assert.That(taken.GetProperty("adjustment").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(taken.GetProperty("totalSteps").GetInt32(), Is.EqualTo(900));
    }

    [Test]
    public async Task LearningRate_OfAPausedExperiment_ThatAnotherHas_IsRefused_AndLeavesItAsItIs()
    {
        await TakeAsync(Ids[1], step: 150, checkpoints: [120]);
        await ReleaseAsync();
        await ControlAsync("/api/experiments/pause", new { ids = Ids[1..3] });
        await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[1]}", new { parameters = new { learningRate = 0.0001, steps = 400 } }));

        var problem = await ProblemAsync(
            await Client.PatchAsJsonAsync($"/api/experiments/{Ids[2]}", new { parameters = new { learningRate = 0.0001 } }), HttpStatusCode.Conflict);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("Experiment 2"));
        Assert.That(await StatusAsync(Ids[2]), Is.EqualTo("paused"));
    }

    [Test]
    public async Task Parameters_GivenToTwoAtOnce_AreTakenByOne()
    {
        for (var round = 0; round < 10; round++)
        {
            var body = new { parameters = new { dropout = 0.1 + (round * 0.01), layers = 3, learningRate = 0.005, steps = 77 } };
            var answers = await Task.WhenAll(new[] { Ids[0], Ids[3] }.Select(id => Client.PatchAsJsonAsync($"/api/experiments/{id}", body)));
            Assert.That(answers.Select(answer => answer.StatusCode), Is.EquivalentTo(new[] { HttpStatusCode.OK, HttpStatusCode.Conflict }));
        }
    }

    [Test]
    public async Task Momentum_WithoutSgd_IsRefused_AndForgottenWithIt()
    {
        await InvalidAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { momentum = 0.9 } }), "parameters.momentum");
        var sgd = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { optimizer = "sgd", momentum = 0.9 } }));
        var adam = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { optimizer = "adam" } }));

        Assert.That(sgd.GetProperty("parameters").GetProperty("momentum").GetDouble(), Is.EqualTo(0.9));
        Assert.That(adam.GetProperty("parameters").GetProperty("momentum").GetDouble(), Is.Zero);
    }

    [Test]
    public async Task Architecture_BeforeTheFirstStep_MayChange_AndTakesWhatOnlyTheOtherUsesAlong()
    {
        var residual = await JsonAsync(await Client.PatchAsJsonAsync($"/api/experiments/{Ids[0]}", new { parameters = new { architecture = "resnet18", patience = 3 } }));
        Assert.That(residual.GetProperty("parameters").GetProperty("layers").GetInt32(), Is.EqualTo(1));
        Assert.That(residual.GetProperty("parameters").GetProperty("patience").GetInt32(), Is.EqualTo(3));
        foreach (var unused in new[] { "filters", "layers", "decayEvery" })
            await InvalidAsync(await PatchAsync($"{{\"parameters\": {{\"{unused}\": 5}}}}"), $"parameters.{unused}");

        Task<HttpResponseMessage> PatchAsync(string body) =>
            Client.PatchAsync($"/api/experiments/{Ids[0]}", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
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
        await InvalidAsync(await Client.PatchAsync($"/api/experiments/{Ids[0]}", content), field);
    }
}
