using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Studies;

public sealed class CloneTests : ApiFixture
{
    private const string Original = """
        {"name": "first", "space": {"steps": [10, 20], "learningRate": {"min": 0.1, "max": 0.3, "step": 0.1}}, "fixed": {"layers": 1, "dropout": 0.25},
         "limits": {"running": 2}, "start": false}
        """;

    [Test]
    public async Task Study_Shown_HasItsWholeDefinitionAsItWasUnderstood()
    {
        var (_, study) = await GenerateAsync(Original);

        var detail = await JsonAsync(await Client.GetAsync($"/api/studies/{study}"));

        Assert.That(
            JsonSerializer.Serialize(detail.GetProperty("definition")),
            Is.EqualTo("""{"space":{"steps":[10,20],"learningRate":[0.1,0.2,0.3]},"fixed":{"layers":1,"dropout":0.25},"strategy":{"sampler":"grid"},"objective":{"metric":"accuracy","direction":"maximize"},"limits":{"running":2},"start":false,"replicates":1,"priority":0}"""));
        Assert.That(await Database.ScalarAsync<int>("SELECT running_limit FROM studies WHERE id = $1", study), Is.EqualTo(2));
    }

    [TestCase(null)]
    [TestCase("{}")]
    public async Task Clone_OnTheSameImages_FindsEverythingExisting(string? body)
    {
        var (_, study) = await GenerateAsync(Original);

        var response = await CloneAsync(study, body);
        var clone = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), clone.ToString());
        Assert.That(clone.GetProperty("id").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(clone.GetProperty("existing").GetArrayLength(), Is.EqualTo(6));
        Assert.That(Statuses(clone.GetProperty("existing")), Is.All.EqualTo("draft"), "the study was not started, nor is its clone");
    }

    [Test]
    public async Task Clone_OnChangedImages_IsTheStudyOnceMore_InItsOrder()
    {
        var (model, study) = await GenerateAsync(Original);
        await Client.PatchAsJsonAsync($"/api/models/{model}/images", new { where = new { label = "0" }, label = "1" });

        var response = await CloneAsync(study, null);
        var clone = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), clone.ToString());
        Assert.That(clone.GetProperty("name").GetString(), Is.EqualTo("first"));
        Assert.That(
            clone.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "lr 0.1, layers 1, steps 10", "lr 0.2, layers 1, steps 10", "lr 0.3, layers 1, steps 10", "lr 0.1, layers 1, steps 20", "lr 0.2, layers 1, steps 20", "lr 0.3, layers 1, steps 20" }));
        Assert.That(clone.GetProperty("experiments")[0].GetProperty("parameters").GetProperty("dropout").GetDouble(), Is.EqualTo(0.25));
        Assert.That(Statuses(clone.GetProperty("experiments")), Is.All.EqualTo("draft"));
        var copy = await JsonAsync(await Client.GetAsync(response.Headers.Location));
        var original = await JsonAsync(await Client.GetAsync($"/api/studies/{study}"));
        Assert.That(copy.GetProperty("definition").ToString(), Is.EqualTo(original.GetProperty("definition").ToString()));
        Assert.That(copy.GetProperty("dataSetVersionId").GetGuid(), Is.Not.EqualTo(original.GetProperty("dataSetVersionId").GetGuid()));
    }

    [TestCase("""{"fixed": {"layers": 2}}""", "lr 0.1, layers 2, steps 10", 6, 2, Description = "replaced whole: dropout has its default again")]
    [TestCase("""{"fixed": {"layers": 1, "learningRate": 0.5}}""", "lr 0.5, layers 1, steps 10", 2, 2, Description = "it leaves the space")]
    [TestCase("""{"space": {"layers": [3], "steps": [5], "learningRate": [0.1]}}""", "lr 0.1, layers 3, steps 5", 1, 2, Description = "it leaves the fixed ones")]
    [TestCase("""{"fixed": {"layers": 1, "seed": 3}, "limits": {}}""", "lr 0.1, layers 1, steps 10", 6, 0)]
    [TestCase("""{"fixed": {"layers": 1, "seed": 4}, "limits": {"running": 7}}""", "lr 0.1, layers 1, steps 10", 6, 7)]
    public async Task Clone_WithChanges_TakesThemInsteadOfItsOwn(string body, string first, int count, int limit)
    {
        var (_, study) = await GenerateAsync(Original);

        var response = await CloneAsync(study, body);
        var clone = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), clone.ToString());
        Assert.That(clone.GetProperty("experiments").GetArrayLength(), Is.EqualTo(count));
        Assert.That(clone.GetProperty("experiments")[0].GetProperty("name").GetString(), Is.EqualTo(first));
        Assert.That(clone.GetProperty("name").GetString(), Is.Not.EqualTo("first"), "it is another space");
        Assert.That(await Database.ScalarAsync<int>("SELECT COALESCE(running_limit, 0) FROM studies WHERE id = $1", clone.GetProperty("id").GetGuid()), Is.EqualTo(limit));
    }

    [Test]
    public async Task Clone_Started_QueuesTheDraftsThatExist()
    {
        var (_, study) = await GenerateAsync(Original);

        var clone = await JsonAsync(await CloneAsync(study, """{"start": true}"""));

        Assert.That(Statuses(clone.GetProperty("existing")), Is.All.EqualTo("queued"));
    }

    [Test]
    public async Task Clone_WithEpochsForSteps_TakesThem()
    {
        var (_, study) = await GenerateAsync(Original);

        var clone = await JsonAsync(await CloneAsync(study, """{"name": "longer", "fixed": {"layers": 1, "epochs": 2}}"""));

        Assert.That(clone.GetProperty("name").GetString(), Is.EqualTo("longer"));
        Assert.That(clone.GetProperty("experiments").GetArrayLength(), Is.EqualTo(3));
    }

    [TestCase("""{"name": ""}""", "name")]
    [TestCase("""{"nam": "x"}""", "nam")]
    [TestCase("""{"replicates": 101}""", "replicates")]
    [TestCase("""{"priority": -1001}""", "priority")]
    [TestCase("""{"startAt": "2999-01-01T00:00:00Z"}""", "startAt")]
    [TestCase("""{"space": {"learningRate": [], "steps": [1]}}""", "space.learningRate")]
    [TestCase("""{"fixed": {"layers": 99}}""", "fixed.layers")]
    [TestCase("""{"limits": {"running": -1}}""", "limits.running")]
    [TestCase("""{"limits": {"walking": 1}}""", "limits.walking")]
    [TestCase("""{"strategy": {"sampler": "tpe"}}""", "strategy.sampler")]
    [TestCase("""{"objective": {"metric": "loss"}}""", "objective.metric")]
    [TestCase("""{"start": "yes"}""", "start")]
    [TestCase("""{"space": {"learningRate": [0.1], "steps": [1]}, "fixed": {}}""", "space.layers")]
    public async Task Clone_WithAWrongField_NamesIt(string body, string field)
    {
        var (_, study) = await GenerateAsync(Original);

        await InvalidAsync(await CloneAsync(study, body), field);
    }

    [Test]
    public async Task Clone_WhatCannotBe_SaysWhy()
    {
        var (model, study) = await GenerateAsync(Original);

        await ProblemAsync(await CloneAsync(Guid.NewGuid(), null), HttpStatusCode.NotFound);
        await ProblemAsync(await CloneAsync(study, "{"), HttpStatusCode.BadRequest);
        await ProblemAsync(await PostRawAsync($"/api/studies/{study}/clone", "name: x", "text/plain"), HttpStatusCode.UnsupportedMediaType);
        await ProblemAsync(await CloneAsync(study, new string(' ', 1024 * 1024 + 1)), HttpStatusCode.RequestEntityTooLarge);
        await Client.PatchAsJsonAsync($"/api/models/{model}", new { archived = true });
        await ProblemAsync(await CloneAsync(study, null), HttpStatusCode.Conflict);
    }

    private async Task<(Guid Model, Guid Study)> GenerateAsync(string body)
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", body));
        return (model, study.GetProperty("id").GetGuid());
    }

    private Task<HttpResponseMessage> CloneAsync(Guid study, string? body) =>
        body is null ? Client.PostAsync($"/api/studies/{study}/clone", null) : PostRawAsync($"/api/studies/{study}/clone", body);

    private static IEnumerable<string?> Statuses(JsonElement experiments) =>
        experiments.EnumerateArray().Select(experiment => experiment.GetProperty("status").GetString());
}
