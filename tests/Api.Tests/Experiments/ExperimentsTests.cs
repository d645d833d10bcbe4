using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Experiments;

public sealed class ExperimentsTests : ApiFixture
{
    private static readonly string[] Life = ["draft", "queued", "running", "completed", "paused", "cancelled", "failed", "pruned"];

    [TestCase("number", "asc")]
    [TestCase("number", "desc")]
    [TestCase("accuracy", "asc")]
    [TestCase("accuracy", "desc")]
    [TestCase("testAccuracy", "desc")]
    [TestCase("loss", "asc")]
    [TestCase("loss", "desc")]
    [TestCase("durationSeconds", "desc")]
    [TestCase("meanSquaredError", "asc")]
    [TestCase("savedSeconds", "desc")]
    [TestCase("createdAt", "asc")]
    [TestCase("createdAt", "desc")]
    [TestCase("startedAt", "asc")]
    [TestCase("finishedAt", "desc")]
    [TestCase("status", "asc")]
    [TestCase("name", "desc")]
    [TestCase("learningRate", "desc")]
    [TestCase("layers", "asc")]
    [TestCase("steps", "desc")]
    [TestCase("optimizer", "asc")]
    [TestCase("schedule", "asc")]
    [TestCase("patience", "desc")]
    public async Task List_PageByPageOverTiesAndNulls_IsTheWholeListInOrder(string sort, string order)
    {
        var (model, ids) = await GenerateAsync();
        // Ties, values without an end, and most without a value.
        for (var index = 0; index < 8; index++)
            await Database.CompleteAsync(ids[index], index % 3 / 4.0, index % 2 == 0 ? 0.5 : null, loss: index == 1 ? double.NaN : index == 2 ? double.PositiveInfinity : index / 2);

        // Not in the order of the numbers, nor all different.
        await Database.ExecuteAsync(
            "UPDATE experiments SET created_at = created_at + (number * 7 % 11) * interval '1 s', started_at = started_at + (number % 3) * interval '1 s' WHERE model_id = $1", model);

        var whole = await ItemsAsync($"/api/models/{model}/experiments?sort={sort}&order={order}&limit=500");
        var paged = await ItemsAsync($"/api/models/{model}/experiments?sort={sort}&order={order}&limit=4");

        Assert.That(paged.Select(Id), Is.EqualTo(whole.Select(Id)));
        Assert.That(whole.Select(Id), Is.EquivalentTo(ids));
        var keys = whole.Select(item => item.TryGetProperty(sort, out var own) ? own : item.GetProperty("parameters").GetProperty(sort))
            .Select(value => value.ValueKind == JsonValueKind.Null ? null : (IComparable)(value.ValueKind == JsonValueKind.Number ? value.GetDouble() : sort == "status" ? Array.IndexOf(Life, value.GetString()) : value.GetString()!)).ToList();
        var values = keys.TakeWhile(key => key is not null).ToList();
        Assert.That(keys.Skip(values.Count), Is.All.Null, "nulls come last");
        Assert.That(values, order == "asc" ? Is.Ordered : Is.Ordered.Descending);
    }

    [Test]
    public async Task Experiment_ThatWasStoppedEarly_SaysAtWhichStep()
    {
        var (_, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[2], 0.9);
        var whole = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[2]}"));
        Assert.That(whole.GetProperty("step").GetInt32(), Is.EqualTo(whole.GetProperty("totalSteps").GetInt32()));
        Assert.That(whole.GetProperty("stoppedEarly").GetBoolean(), Is.False);

        await Database.ExecuteAsync("UPDATE experiments SET stopped_early = true, ended_at_step = 7 WHERE id = $1", ids[2]);
        var early = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[2]}"));
        Assert.That(early.GetProperty("step").GetInt32(), Is.EqualTo(7));
        Assert.That(early.GetProperty("bestStep").GetInt32(), Is.EqualTo(7));
        Assert.That(early.GetProperty("stoppedEarly").GetBoolean(), Is.True);
        Assert.That(early.GetProperty("totalSteps").GetInt32(), Is.EqualTo(whole.GetProperty("totalSteps").GetInt32()));
    }

    [Test]
    public async Task List_Filtered_ShowsOnlyThose()
    {
        var (model, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[3], 0.9);
        var study = await Database.ScalarAsync<Guid>("SELECT study_id FROM experiments WHERE id = $1", ids[0]);

        Assert.That((await ItemsAsync($"/api/models/{model}/experiments?status=completed&limit=9")).Select(Id), Is.EqualTo(new[] { ids[3] }));
        Assert.That(await ItemsAsync($"/api/models/{model}/experiments?status=completed&status=queued&limit=500"), Has.Count.EqualTo(27));
        Assert.That(await ItemsAsync($"/api/models/{model}/experiments?status=queued,running&limit=500"), Has.Count.EqualTo(26));
        Assert.That(await ItemsAsync($"/api/models/{model}/experiments?status=running&status=draft,Failed&limit=500"), Is.Empty);
        Assert.That(await ItemsAsync($"/api/models/{model}/experiments?studyId={study}&limit=500"), Has.Count.EqualTo(27));
        Assert.That(await ItemsAsync($"/api/models/{model}/experiments?studyId={Guid.NewGuid()}&limit=500"), Is.Empty);
    }

    [TestCase("sort=epochs", "sort")]
    [TestCase("sort=colour", "sort")]
    [TestCase("order=up", "order")]
    [TestCase("status=done", "status")]
    [TestCase("status=1", "status")]
    [TestCase("status=queued,done", "status")]
    [TestCase("status=queued|running", "status")]
    [TestCase("status=", "status")]
    [TestCase("states=queued", "states")]
    [TestCase("studyId=1", "studyId")]
    [TestCase("limit=1000", "limit")]
    [TestCase("cursor=x", "cursor")]
    public async Task List_WithAWrongParameter_NamesIt(string query, string field) =>
        await InvalidAsync(await Client.GetAsync($"/api/models/{await Database.ModelAsync(0)}/experiments?{query}"), field);

    [TestCase("/api/models/{0}/experiments")]
    [TestCase("/api/models/{0}/best")]
    [TestCase("/api/experiments/{0}")]
    [TestCase("/api/experiments/{0}/metrics")]
    [TestCase("/api/experiments/{0}/weights")]
    [TestCase("/api/studies/{0}")]
    [TestCase("/api/predictions/{0}")]
    public async Task Get_OfAnUnknownId_Gives404(string path) =>
        await ProblemAsync(await Client.GetAsync(path.Replace("{0}", Guid.NewGuid().ToString(), StringComparison.Ordinal)), HttpStatusCode.NotFound);

    [Test]
    public async Task Get_ARunningOne_ShowsItsProgressAndAttempts()
    {
        var (_, ids) = await GenerateAsync();
        await Database.ExecuteAsync("UPDATE experiments SET status = 'running', started_at = now(), worker = 'worker-1' WHERE id = $1", ids[0]);
        await Database.ExecuteAsync(
            """
            WITH running AS (
                UPDATE trajectories SET status = 'running', waiting_since = NULL, lease_until = now() + interval '15 s', worker_id = gen_random_uuid(), step = 320, fence = 2
                WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1) RETURNING id, worker_id),
            points AS (
                INSERT INTO metric_points (trajectory_id, name, step, value)
                SELECT id, 'validationAccuracy', step, value FROM running, (VALUES (100, 0.5), (200, 0.8), (300, 0.8), (1100, 0.99)) AS points (step, value))
            INSERT INTO attempts (id, trajectory_id, fence, worker_id, worker_name, from_step, to_step, started_at, finished_at, outcome, error)
            SELECT gen_random_uuid(), id, fence, worker_id, 'worker-1', 0, CASE fence WHEN 1 THEN 10 END, now(), CASE fence WHEN 1 THEN now() END, CASE fence WHEN 1 THEN 'crashed' END, NULL
            FROM running, generate_series(1, 2) AS fence
            """,
            ids[0]);

        var experiment = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}"));

        Assert.That(experiment.GetProperty("step").GetInt32(), Is.EqualTo(320));
        // 200 images less those held out, in batches of 64.
        Assert.That(experiment.GetProperty("epoch").GetDouble(), Is.EqualTo(320 / 3.0).Within(1e-3));
        Assert.That(experiment.GetProperty("bestAccuracy").GetDouble(), Is.EqualTo(0.8));
        Assert.That(experiment.GetProperty("bestStep").GetInt32(), Is.EqualTo(200), "the first that was as good, up to its own last step");
        Assert.That(experiment.GetProperty("waitingFor").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(
            experiment.GetProperty("attempts").EnumerateArray().Select(attempt => attempt.GetProperty("outcome").GetString()), Is.EqualTo(new[] { null, "crashed" }));
        var study = await JsonAsync(await Client.GetAsync($"/api/studies/{experiment.GetProperty("studyId").GetGuid()}"));
        Assert.That(study.GetProperty("experiments").GetProperty("running").GetInt32(), Is.EqualTo(1));
        Assert.That(study.GetProperty("progress").GetDouble(), Is.EqualTo(320 / 36_000.0).Within(1e-4), "nine trajectories of 4,000 steps");
    }

    [Test]
    public async Task Metrics_OfALongCurve_AreThinnedAndKeepTheLast()
    {
        var (_, ids) = await GenerateAsync();
        await Database.ExecuteAsync(
            """
            INSERT INTO metric_points (trajectory_id, name, step, value)
            SELECT trajectory_id, curve, step, CASE step WHEN 995 THEN 'NaN'::float8 ELSE step END
            FROM experiments, generate_series(5, 2000, 5) AS step, unnest(ARRAY['loss', 'validationLoss']) AS curve WHERE id = $1
            """,
            ids[0]);

        var metrics = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/metrics?maxPoints=50"));
        var loss = metrics.GetProperty("curves").GetProperty("loss").EnumerateArray().Select(point => point.GetProperty("step").GetInt32()).ToList();

        Assert.That(loss, Has.Count.LessThanOrEqualTo(50).And.Count.GreaterThan(25).And.Ordered);
        Assert.That(loss[^1], Is.EqualTo(1000), "the experiment ends at its own last step");
        var rest = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/metrics?after=990"));
        Assert.That(rest.GetProperty("curves").GetProperty("loss").ToString(), Is.EqualTo("""[{"step":995,"value":null},{"step":1000,"value":1000}]"""));
        await InvalidAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/metrics?maxPoints=1"), "maxPoints");
    }

    [Test]
    public async Task Best_AmongTies_HasFewerSteps()
    {
        var (model, ids) = await GenerateAsync();
        await ProblemAsync(await Client.GetAsync($"/api/models/{model}/best"), HttpStatusCode.Conflict);
        await Database.CompleteAsync(ids[2], 0.9);
        await Database.CompleteAsync(ids[1], 0.9, 0.8);
        await Database.CompleteAsync(ids[0], 0.5);

        var best = await JsonAsync(await Client.GetAsync($"/api/models/{model}/best"));

        Assert.That(best.GetProperty("experimentId").GetGuid(), Is.EqualTo(ids[1]));
        Assert.That(best.GetProperty("parameters").GetProperty("steps").GetInt32(), Is.EqualTo(2000));
        Assert.That(best.GetProperty("testAccuracy").GetDouble(), Is.EqualTo(0.8));
        Assert.That(best.GetProperty("experiments").EnumerateArray().Select(Id), Is.EqualTo(new[] { ids[1], ids[2], ids[0] }));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/models/{model}"))).GetProperty("bestAccuracy").GetDouble(), Is.EqualTo(0.9));
    }

    [Test]
    public async Task Best_AfterMoreImages_StaysUntilThereIsOneOnThem()
    {
        var (model, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[0], 0.9);
        await Client.PatchAsJsonAsync($"/api/models/{model}/images", new { where = new { label = "0" }, label = "1" });

        // An epoch of these images is more steps than an experiment may have.
        await InvalidAsync(
            await PostRawAsync($"/api/models/{model}/experiments", """{"fixed": {"epochs": 100000, "learningRate": 0.1, "layers": 1, "batchSize": 1}}"""), "fixed.epochs");

        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM data_set_versions WHERE model_id = $1", model), Is.EqualTo(1));
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        var newer = Id(study.GetProperty("experiments")[0]);
        await AssertBestAsync(ids[0], 0.9);
        await Database.CompleteAsync(newer, 0.7);
        await AssertBestAsync(newer, 0.7);

        async Task AssertBestAsync(Guid id, double accuracy)
        {
            var best = await JsonAsync(await Client.GetAsync($"/api/models/{model}/best"));
            var detail = await JsonAsync(await Client.GetAsync($"/api/models/{model}"));
            Assert.That(best.GetProperty("experimentId").GetGuid(), Is.EqualTo(id));
            Assert.That(best.GetProperty("experiments").EnumerateArray().Select(Id), Is.EqualTo(new[] { id }));
            Assert.That(detail.GetProperty("bestExperimentId").GetGuid(), Is.EqualTo(id));
            Assert.That(detail.GetProperty("bestAccuracy").GetDouble(), Is.EqualTo(accuracy));
        }
    }

    [Test]
    public async Task Studies_OfAModel_AreListedNewestFirst()
    {
        var (model, _) = await GenerateAsync();
        await PostRawAsync($"/api/models/{model}/experiments", """{"name": "second", "fixed": {"seed": 1}}""");
        await GenerateAsync();

        var studies = await ItemsAsync($"/api/studies?modelId={model}&limit=1");

        Assert.That(studies.Select(study => study.GetProperty("name").GetString()), Is.EqualTo(new[] { "second", "Grid: 3 learningRate, 3 layers, 3 steps" }));
        await InvalidAsync(await Client.GetAsync("/api/studies?modelId=x"), "modelId");
    }

    [Test]
    public async Task DeleteModel_WithEverything_LeavesNothing()
    {
        var (model, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[0], 0.9);

        Assert.That((await Client.DeleteAsync($"/api/models/{model}")).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));

        foreach (var table in new[] { "images", "data_set_versions", "studies", "trajectories", "experiments" })
            Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM {table} WHERE model_id = $1", model), Is.Zero, table);
    }

    private async Task<(Guid Model, List<Guid> Ids)> GenerateAsync()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        return (model, study.GetProperty("experiments").EnumerateArray().Select(Id).ToList());
    }

    private async Task<List<JsonElement>> ItemsAsync(string path)
    {
        var items = new List<JsonElement>();
        string? cursor = null;
        var pages = 0;
        do
        {
            var page = await JsonAsync(await Client.GetAsync(cursor is null ? path : $"{path}&cursor={cursor}"));
            items.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null && ++pages < 1000);
        return items;
    }

    private static Guid Id(JsonElement item) => item.GetProperty("id").GetGuid();
}
