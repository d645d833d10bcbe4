using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Control;

/// <summary>Tags and notes of experiments, and what is found and selected by them.</summary>
public sealed class AnnotationTests : ApiFixture
{
    private Guid _model;
    private Guid[] _ids = null!;

    [SetUp]
    public async Task GenerateAsync()
    {
        _model = await Database.ModelAsync();
        var study = await JsonAsync(await Client.PostAsJsonAsync(
            $"/api/models/{_model}/experiments", new { space = new { learningRate = new[] { 0.001, 0.01 }, layers = new[] { 1 }, steps = new[] { 100, 200 } } }));
        _ids = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
    }

    [Test]
    public async Task TagsAndNotes_AreKeptTrimmed_AndRemovedByEmptyOnes()
    {
        var tagged = await PatchAsync(new { tags = new[] { " baseline ", "Baseline", "slow" }, notes = " Beats the old model.\nBarely. " });
        Assert.That(TagsOf(tagged), Is.EqualTo(new[] { "baseline", "slow" }));
        Assert.That((await DetailAsync()).GetProperty("notes").GetString(), Is.EqualTo("Beats the old model.\nBarely."));

        await PatchAsync(new { priority = 1 });
        Assert.That(TagsOf(await DetailAsync()), Has.Length.EqualTo(2), "what is left out stays");

        await PatchAsync(new { tags = Array.Empty<string>(), notes = "" });
        Assert.That(TagsOf(await DetailAsync()), Is.Empty);
        Assert.That((await DetailAsync()).GetProperty("notes").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public async Task TagsAndNotes_OfACompletedExperiment_MayChange()
    {
        await Database.CompleteAsync(_ids[0], 0.9);

        Assert.That(TagsOf(await PatchAsync(new { tags = new[] { "done" } })), Is.EqualTo(new[] { "done" }));
    }

    [TestCase("""{"tags": ["a", "  "]}""", "tags[1]")]
    [TestCase("""{"tags": ["a\u0000b"]}""", "tags[0]")]
    [TestCase("""{"tags": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19","20","21"]}""", "tags")]
    [TestCase("""{"notes": "a\u0000b"}""", "notes")]
    public async Task TagsAndNotes_ThatCannotBeKept_AreRefused(string body, string field)
    {
        var response = await Client.PatchAsync($"/api/experiments/{_ids[0]}", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((await JsonAsync(response)).GetProperty("errors").EnumerateObject().Select(error => error.Name), Is.EqualTo(new[] { field }));
    }

    [Test]
    public async Task Tags_AreFilteredAndSortedBy()
    {
        await PatchAsync(new { tags = new[] { "baseline", "slow" } });
        await PatchAsync(new { tags = new[] { "fast" } }, 2);

        Assert.That(await NumbersAsync("filter=tags ~ 'SLOW'"), Is.EqualTo(new[] { 1 }));
        Assert.That(await NumbersAsync("filter=tags is null"), Is.EqualTo(new[] { 2, 4 }));
        Assert.That(await NumbersAsync("sort=tags&order=desc"), Is.EqualTo(new[] { 3, 1, 2, 4 }));
        var first = await JsonAsync(await Client.GetAsync($"/api/models/{_model}/experiments?sort=tags&limit=2"));
        Assert.That(
            await NumbersAsync($"sort=tags&cursor={first.GetProperty("nextCursor").GetString()}"), Is.EqualTo(new[] { 2, 4 }), "a cursor goes on after tags");
    }

    [Test]
    public async Task Selection_ByFilterAndSearch_ChangesOnlyThose()
    {
        await PatchAsync(new { tags = new[] { "slow" }, name = "the odd one" }, 3);

        var byFilter = await JsonAsync(await Client.PostAsJsonAsync(
            "/api/experiments/pause", new { where = new { modelId = _model, filter = "learningRate = 0.001 or tags ~ 'slow'" } }));
        var bySearch = await JsonAsync(await Client.PostAsJsonAsync("/api/experiments/cancel", new { where = new { modelId = _model, search = "ODD" } }));

        Assert.That(byFilter.GetProperty("changed").GetInt32(), Is.EqualTo(3));
        Assert.That(bySearch.GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That(await NumbersAsync("status=queued"), Is.EqualTo(new[] { 3 }));
        Assert.That(await NumbersAsync("status=cancelled"), Is.EqualTo(new[] { 4 }));
    }

    [Test]
    public async Task Offset_JumpsToAnyPlaceOfTheList()
    {
        Assert.That(await NumbersAsync("offset=2"), Is.EqualTo(new[] { 3, 4 }));
        Assert.That(await NumbersAsync("sort=steps&offset=1&limit=2"), Is.EqualTo(new[] { 3, 2 }));
        Assert.That(await NumbersAsync("offset=9"), Is.Empty);
        var page = await JsonAsync(await Client.GetAsync($"/api/models/{_model}/experiments?offset=1&limit=1"));
        Assert.That(await NumbersAsync($"cursor={page.GetProperty("nextCursor").GetString()}"), Is.EqualTo(new[] { 3, 4 }), "its cursor goes on from there");

        var both = await Client.GetAsync($"/api/models/{_model}/experiments?offset=1&cursor={page.GetProperty("nextCursor").GetString()}");
        Assert.That(both.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
    }

    private static string[] TagsOf(JsonElement experiment) => [.. experiment.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)];

    private async Task<JsonElement> PatchAsync(object change, int place = 0)
    {
        var response = await Client.PatchAsJsonAsync($"/api/experiments/{_ids[place]}", change);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    private async Task<JsonElement> DetailAsync() => await JsonAsync(await Client.GetAsync($"/api/experiments/{_ids[0]}"));

    private async Task<int[]> NumbersAsync(string query) =>
        [.. (await JsonAsync(await Client.GetAsync($"/api/models/{_model}/experiments?{query}"))).GetProperty("items").EnumerateArray().Select(item => item.GetProperty("number").GetInt32())];
}
