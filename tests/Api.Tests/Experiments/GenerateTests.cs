using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Tests.Experiments;

public sealed class GenerateTests : ApiFixture
{
    private const string Small = """{"space": {"learningRate": [0.1, 0.2], "steps": [10, 20]}, "fixed": {"layers": 1}""";

    [TestCase(null)]
    [TestCase("")]
    [TestCase("{}")]
    public async Task Generate_WithoutASpace_GivesThe27OnNineTrajectories(string? body)
    {
        var model = await Database.ModelAsync();
        var before = await TicketsAsync();

        var response = body is null
            ? await Client.PostAsync($"/api/models/{model}/experiments", null)
            : await PostRawAsync($"/api/models/{model}/experiments", body);
        var study = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), study.ToString());
        var experiments = study.GetProperty("experiments").EnumerateArray().ToList();
        Assert.That(experiments, Has.Count.EqualTo(27));
        Assert.That(study.GetProperty("existing").GetArrayLength(), Is.Zero);
        Assert.That(study.GetProperty("trajectories").GetInt32(), Is.EqualTo(9));
        Assert.That(experiments.Select(experiment => experiment.GetProperty("number").GetInt32()), Is.EqualTo(Enumerable.Range(1, 27)));
        Assert.That(experiments.Select(experiment => experiment.GetProperty("status").GetString()), Is.All.EqualTo("queued"));
        Assert.That(experiments[4].GetProperty("name").GetString(), Is.EqualTo("lr 0.001, layers 2, steps 2000"));
        Assert.That(experiments[4].GetProperty("parameters").GetProperty("batchSize").GetInt32(), Is.EqualTo(64));
        Assert.That(await TicketsAsync() - before, Is.EqualTo(9));
        Assert.That(await WaitingAsync(model), Is.EqualTo(9));
        Assert.That((await Client.GetAsync(response.Headers.Location)).StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task Generate_OfTwoArchitectures_NamesEachByWhatItHas()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"space": {"architecture": ["cnn", "resnet18"], "layers": [1, 2]}, "fixed": {"learningRate": 0.1, "steps": 10}}"""));
        Assert.That(
            study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "lr 0.1, layers 1, steps 10", "lr 0.1, layers 2, steps 10", "lr 0.1, resnet18, steps 10" }));
    }

    [Test]
    public async Task Generate_OfTwoPrecisions_NamesEach_AndKnowsWhatIsThere()
    {
        var model = await Database.ModelAsync();
        const string Required = """ "fixed": {"learningRate": 0.1, "layers": 2, "steps": 10}}""";
        await PostRawAsync($"/api/models/{model}/experiments", """{"space": {}, """ + Required);
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", """{"space": {"precision": ["float32", "bfloat16"]}, """ + Required));
        Assert.That(study.GetProperty("existing").GetArrayLength(), Is.EqualTo(1), "float32 is what it is without a word about it");
        Assert.That(
            study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "lr 0.1, layers 2, steps 10, precision bfloat16" }));

        var list = await JsonAsync(await Client.GetAsync($"/api/models/{model}/experiments?sort=precision&filter={Uri.EscapeDataString("precision ~ float")}"));
        Assert.That(
            list.GetProperty("items").EnumerateArray().Select(experiment => experiment.GetProperty("parameters").GetProperty("precision").GetString()),
            Is.EqualTo(new[] { "bfloat16", "float32" }));
    }

    [Test]
    public async Task Generate_TwiceAtOnce_Gives27InAll()
    {
        var model = await Database.ModelAsync();
        var before = await TicketsAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Client.PostAsync($"/api/models/{model}/experiments", null)));

        Assert.That(responses.Select(response => response.StatusCode), Is.EquivalentTo(new[] { HttpStatusCode.Created, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK }));
        foreach (var response in responses)
        {
            var study = await JsonAsync(response);
            var made = study.GetProperty("experiments").GetArrayLength();
            Assert.That(made, Is.EqualTo(response.StatusCode == HttpStatusCode.Created ? 27 : 0));
            Assert.That(made + study.GetProperty("existing").GetArrayLength(), Is.EqualTo(27));
            Assert.That(study.GetProperty("id").ValueKind, Is.EqualTo(made > 0 ? JsonValueKind.String : JsonValueKind.Null));
        }

        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM experiments WHERE model_id = $1", model), Is.EqualTo(27));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM studies WHERE model_id = $1", model), Is.EqualTo(1));
        Assert.That(await TicketsAsync() - before, Is.EqualTo(9));
    }

    [Test]
    public async Task Generate_WhatOverlaps_MakesOnlyTheMissing()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", Small + "}");

        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"name": "more", "space": {"learningRate": [0.2, 0.3], "steps": [20, 30]}, "fixed": {"layers": 1}}"""));

        Assert.That(study.GetProperty("name").GetString(), Is.EqualTo("more"));
        Assert.That(study.GetProperty("existing").GetArrayLength(), Is.EqualTo(1));
        Assert.That(
            study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("number").GetInt32()), Is.EqualTo(new[] { 5, 6, 7 }));
    }

    [Test]
    public async Task Generate_OnRelabelledImages_MakesThemAnew()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", Small + "}");
        await Database.ExecuteAsync("UPDATE images SET label = '1' WHERE model_id = $1 AND label = '0'", model);

        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", Small + "}"));

        Assert.That(study.GetProperty("experiments").GetArrayLength(), Is.EqualTo(4));
    }

    [Test]
    public async Task Drafts_Trained_AreQueuedOnce()
    {
        var model = await Database.ModelAsync();
        var before = await TicketsAsync();
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", Small + """, "start": false}"""));
        Assert.That(study.GetProperty("experiments")[0].GetProperty("status").GetString(), Is.EqualTo("draft"));
        Assert.That(await TicketsAsync() - before, Is.Zero);

        var first = await JsonAsync(await Client.PostAsync($"/api/models/{model}/train", null));
        var second = await JsonAsync(await Client.PostAsync($"/api/models/{model}/train", null));

        Assert.That(first.GetProperty("queued").GetInt32(), Is.EqualTo(4));
        Assert.That(second.GetProperty("queued").GetInt32(), Is.Zero);
        Assert.That(await WaitingAsync(model), Is.EqualTo(2));
        Assert.That(await TicketsAsync() - before, Is.EqualTo(2));
        await ProblemAsync(await Client.PostAsync($"/api/models/{Guid.NewGuid()}/train", null), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Generate_WithStartOverDrafts_QueuesThem()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", Small + """, "start": false}""");

        var response = await PostRawAsync($"/api/models/{model}/experiments", Small + "}");
        var study = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(study.GetProperty("existing").EnumerateArray().Select(experiment => experiment.GetProperty("status").GetString()), Is.EqualTo(Enumerable.Repeat("queued", 4)));
        Assert.That(await WaitingAsync(model), Is.EqualTo(2));
    }

    [Test]
    public async Task Generate_MoreForARunningTrajectory_LeavesItToItsWorker()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 10}}""");
        await Database.ExecuteAsync(
            "UPDATE trajectories SET status = 'running', waiting_since = NULL, lease_until = now() + interval '15 s', worker_id = gen_random_uuid(), step = 7 WHERE model_id = $1", model);
        var before = await TicketsAsync();

        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 20}}"""));

        Assert.That(study.GetProperty("experiments")[0].GetProperty("waitingFor").GetString(), Does.Contain("step 7"));
        Assert.That(await Database.ScalarAsync<string>("SELECT status FROM trajectories WHERE model_id = $1", model), Is.EqualTo("running"));
        Assert.That(await TicketsAsync() - before, Is.Zero);
    }

    [Test]
    public async Task Generate_AFailedOneAgain_ReportsItAsExisting()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", Small + "}");
        await Database.ExecuteAsync("UPDATE experiments SET status = 'failed', error = 'out of memory' WHERE model_id = $1", model);

        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", Small + "}"));

        Assert.That(study.GetProperty("existing")[0].GetProperty("status").GetString(), Is.EqualTo("failed"));
        Assert.That(study.GetProperty("existing")[0].GetProperty("error").GetString(), Is.EqualTo("out of memory"));
    }

    [Test]
    public async Task Generate_ThatFailsAtTheEnd_LeavesNeitherRowsNorTickets()
    {
        var model = await Database.ModelAsync();
        var before = await TicketsAsync();
        // The last statement of the transaction, after the tickets' own, meets a deferred check.
        await Database.ExecuteAsync(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON studies DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.name = 'refuse') EXECUTE FUNCTION refuse()
            """);

        await ProblemAsync(await PostRawAsync($"/api/models/{model}/experiments", """{"name": "refuse"}"""), HttpStatusCode.InternalServerError);

        Assert.That(await TicketsAsync(), Is.EqualTo(before));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM experiments WHERE model_id = $1", model), Is.Zero);
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM trajectories WHERE model_id = $1", model), Is.Zero);
    }

    [Test]
    public async Task Generate_ByForce_MakesThemAgainOnTrajectoriesOfTheirOwn()
    {
        var model = await Database.ModelAsync();
        var path = $"/api/models/{model}/experiments";
        await PostRawAsync(path, """{"space": {"steps": [10, 20]}, "fixed": {"learningRate": 0.1, "layers": 1}}""");

        var first = await JsonAsync(await PostRawAsync(path, Small + """, "force": true}"""));
        var second = await JsonAsync(await PostRawAsync(path, Small + """, "force": true}"""));

        // What was not there is the first of its kind; what was, is the next.
        Assert.That(Replicates(first), Is.EqualTo(new[] { 1, 1, 0, 0 }));
        Assert.That(Replicates(second), Is.EqualTo(new[] { 2, 2, 1, 1 }));
        Assert.That(second.GetProperty("trajectories").GetInt32(), Is.EqualTo(2));
        Assert.That(second.GetProperty("existing").GetArrayLength(), Is.Zero);
        Assert.That(second.GetProperty("experiments")[0].GetProperty("name").GetString(), Is.EqualTo("lr 0.1, layers 1, steps 10, replicate 2"));
        Assert.That(
            await Database.ScalarAsync<long>("SELECT count(DISTINCT fingerprint) FROM trajectories WHERE model_id = $1 AND status = 'waiting'", model), Is.EqualTo(5));
    }

    [Test]
    public async Task Generate_ByForceAtOnce_MakesEachOfItsOwn()
    {
        var model = await Database.ModelAsync();

        var studies = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ => await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", Small + """, "force": true}"""))));

        Assert.That(studies.Select(study => Replicates(study).Distinct().Single()), Is.EquivalentTo(new[] { 0, 1, 2, 3 }));
    }

    [Test]
    public async Task Generate_Replicates_HaveSeedsInARow()
    {
        var model = await Database.ModelAsync();

        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"replicates": 3, "space": {"learningRate": [0.1, 0.2], "steps": [10, 20]}, "fixed": {"layers": 1, "seed": 7}}"""));

        Assert.That(
            study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("parameters").GetProperty("seed").GetInt32()),
            Is.EqualTo(Enumerable.Repeat(new[] { 7, 8, 9 }, 4).SelectMany(seeds => seeds)));
        Assert.That(study.GetProperty("trajectories").GetInt32(), Is.EqualTo(6));
        Assert.That(study.GetProperty("name").GetString(), Is.EqualTo("Grid: 2 learningRate, 2 steps, 3 seed"));
    }

    [Test]
    public async Task Generate_ForLater_WaitsUntilThen()
    {
        var model = await Database.ModelAsync();
        var before = await TicketsAsync();

        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"priority": 7, "startAt": "2036-01-01T10:00:00+01:00", "fixed": {"learningRate": 0.1, "layers": 1, "steps": 10}}"""));

        var experiment = study.GetProperty("experiments")[0];
        Assert.That(experiment.GetProperty("priority").GetInt32(), Is.EqualTo(7));
        Assert.That(experiment.GetProperty("startAt").GetDateTimeOffset(), Is.EqualTo(new DateTimeOffset(2036, 1, 1, 9, 0, 0, TimeSpan.Zero)));
        Assert.That(experiment.GetProperty("waitingFor").GetString(), Does.Contain("its start at 2036-01-01"));
        Assert.That(await Database.ScalarAsync<int>("SELECT priority FROM trajectories WHERE model_id = $1", model), Is.EqualTo(7));
        Assert.That(await TicketsAsync() - before, Is.Zero);
    }

    [TestCase(0, 1)]
    [TestCase(50, 1)]
    public async Task Generate_WithoutImagesOrOfOneClass_SaysWhatToDo(int images, int classes) =>
        await ProblemAsync(
            await Client.PostAsync($"/api/models/{await Database.ModelAsync(images, classes)}/experiments", null), HttpStatusCode.Conflict);

    [Test]
    public async Task Generate_ForNoModel_Gives404() =>
        await ProblemAsync(await Client.PostAsync($"/api/models/{Guid.NewGuid()}/experiments", null), HttpStatusCode.NotFound);

    [TestCase("""{"space": {"learningRate": [0.1, 99]}, "fixed": {"layers": 1, "steps": 1}}""", "space.learningRate[1]")]
    [TestCase("""{"space": {"learningRate": [0.1]}, "fixed": {"steps": 1}}""", "space.layers")]
    [TestCase("""{"space": [1]}""", "space")]
    [TestCase("""{"spaces": {}}""", "spaces")]
    [TestCase("""{"fixed": {"architecture": "vgg"}}""", "fixed.architecture")]
    [TestCase("""{"fixed": {"precision": "float16"}}""", "fixed.precision")]
    [TestCase("""{"strategy": {"sampler": "tpe"}}""", "strategy.sampler")]
    [TestCase("""{"strategy": {"samples": 10}}""", "strategy.samples")]
    [TestCase("""{"strategy": {"seed": 10}}""", "strategy.seed")]
    [TestCase("""{"objective": {"metric": "loss"}}""", "objective.metric")]
    [TestCase("""{"objective": {"direction": "minimize"}}""", "objective.direction")]
    [TestCase("""{"limits": {"maxExperiments": 3}}""", "limits.maxExperiments")]
    [TestCase("""{"limits": {"running": 0}}""", "limits.running")]
    [TestCase("""{"limits": {"running": 1001}}""", "limits.running")]
    [TestCase("""{"limits": {"running": "two"}}""", "limits.running")]
    [TestCase("""{"limits": {"running": 1.5}}""", "limits.running")]
    [TestCase("""{"limits": 2}""", "limits")]
    [TestCase("""{"limits": {"seconds": 0}}""", "limits.seconds")]
    [TestCase("""{"limits": {"failures": 10001}}""", "limits.failures")]
    [TestCase("""{"force": "yes"}""", "force")]
    [TestCase("""{"replicates": 0}""", "replicates")]
    [TestCase("""{"replicates": 101}""", "replicates")]
    [TestCase("""{"replicates": 2, "space": {"seed": [1, 2], "learningRate": [0.1]}, "fixed": {"layers": 1, "steps": 1}}""", "replicates")]
    [TestCase("""{"replicates": 2, "fixed": {"seed": 2147483647}}""", "replicates")]
    [TestCase("""{"replicates": 100, "space": {"learningRate": {"min": 0.1, "max": 1, "scale": "log", "count": 101}}, "fixed": {"layers": 1, "steps": 1}}""", "space")]
    [TestCase("""{"priority": 1001}""", "priority")]
    [TestCase("""{"startAt": "2999-01-01T00:00:00Z"}""", "startAt")]
    [TestCase("""{"startAt": "soon"}""", "startAt")]
    [TestCase("""{"name": ""}""", "name")]
    [TestCase("""{"start": "yes"}""", "start")]
    [TestCase("""{"space": {"seed": {"min": 1, "max": 10001, "count": 10001}, "layers": [1], "steps": [1], "learningRate": [1]}}""", "space.seed.count")]
    [TestCase("""{"space": {"seed": {"min": 1, "max": 101, "step": 1}, "filters": {"min": 1, "max": 100, "step": 1}, "layers": [1], "steps": [1], "learningRate": [1]}}""", "space")]
    public async Task Generate_WithAWrongField_NamesIt(string body, string field) =>
        await InvalidAsync(await PostRawAsync($"/api/models/{await Database.ModelAsync()}/experiments", body), field);

    [Test]
    public async Task Generate_WithAnythingInTheQuery_IsRefused()
    {
        var model = await Database.ModelAsync();

        var problem = await InvalidAsync(await Client.PostAsync($"/api/models/{model}/experiments?start=false", null), "start");

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("this call takes nothing"));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM experiments WHERE model_id = $1", model), Is.Zero);
    }

    [Test]
    public async Task Generate_WithTooMuch_IsRefusedBeforeItIsRead()
    {
        var path = $"/api/models/{await Database.ModelAsync()}/experiments";
        var many = string.Join(',', Enumerable.Repeat("99", 10_001));

        await InvalidAsync(await PostRawAsync(path, $$"""{"space": {"learningRate": [{{many}}]} }"""), "space.learningRate");
        await InvalidAsync(await PostRawAsync(path, $$"""{"space": { {{string.Join(',', Enumerable.Range(0, 100).Select(index => $"\"p{index}\": [1]"))}} } }"""), "space");
        var problem = await ProblemAsync(await PostRawAsync(path, $$"""{"space": {"learningRate": [{{many[..^3]}}]}, "fixed": {"layers": 1, "steps": 1} }"""), HttpStatusCode.BadRequest);
        Assert.That(problem.GetProperty("errors").EnumerateObject().Count(), Is.EqualTo(20));
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("10000 fields are wrong"));
        problem = await ProblemAsync(await PostRawAsync(path, new string(' ', 1024 * 1024) + "{}"), HttpStatusCode.RequestEntityTooLarge);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("1048576 bytes"));
    }

    [Test]
    public async Task Generate_WithMinusZero_IsZero()
    {
        var path = $"/api/models/{await Database.ModelAsync()}/experiments";
        await PostRawAsync(path, """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 1, "dropout": 0}}""");

        var study = await JsonAsync(await PostRawAsync(path, """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 1, "dropout": -0.0}}"""));

        Assert.That(study.GetProperty("existing").GetArrayLength(), Is.EqualTo(1));
    }

    [TestCase(1_000)]
    [TestCase(10_000)]
    public async Task Generate_Many_AnswersThemAll(int count)
    {
        var model = await Database.ModelAsync();
        var clock = Stopwatch.StartNew();
        var response = await Client.PostAsJsonAsync(
            $"/api/models/{model}/experiments",
            new { space = new { seed = new { min = 1, max = count / 10, step = 1 }, steps = new { min = 10, max = 100, step = 10 } }, @fixed = new { learningRate = 0.1, layers = 1 } });
        var study = await JsonAsync(response);
        await TestContext.Out.WriteLineAsync($"{count} experiments in {clock.Elapsed.TotalSeconds:0.00} s");

        Assert.That(study.GetProperty("experiments").GetArrayLength(), Is.EqualTo(count));
        Assert.That(study.GetProperty("trajectories").GetInt32(), Is.EqualTo(count / 10));
        Assert.That(await WaitingAsync(model), Is.EqualTo(count / 10));
    }

    [Test]
    public async Task Generate_ManyAtOnceOnSeveralModels_CreatesThemAll_WithATicketForEachTrajectory()
    {
        const int requests = 96;
        var models = new List<Guid>();
        while (models.Count < 8)
            models.Add(await Database.ModelAsync());
        var before = await TicketsAsync();
        var clock = Stopwatch.StartNew();

        var responses = await Task.WhenAll(Enumerable.Range(0, requests)
            .Select(request => PostRawAsync($"/api/models/{models[request % models.Count]}/experiments", $$$"""{"fixed": {"seed": {{{request}}}}}""")));

        await TestContext.Progress.WriteLineAsync($"{requests} requests at once in {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.That(responses.Select(response => response.StatusCode), Is.All.EqualTo(HttpStatusCode.Created));
        foreach (var model in models)
            Assert.That(await WaitingAsync(model), Is.EqualTo(9 * requests / models.Count));
        Assert.That(await TicketsAsync() - before, Is.EqualTo(9 * requests));
    }

    private static IEnumerable<int> Replicates(JsonElement study) => study.GetProperty("experiments").EnumerateArray()
        .Select(experiment => experiment.GetProperty("parameters").TryGetProperty("replicate", out var replicate) ? replicate.GetInt32() : 0);

    private Task<int> TicketsAsync() => Services.GetRequiredService<TicketQueue>().CountWaitingAsync(CancellationToken.None);

    private Task<long> WaitingAsync(Guid model) =>
        Database.ScalarAsync<long>("SELECT count(*) FROM trajectories WHERE model_id = $1 AND status = 'waiting'", model);
}
