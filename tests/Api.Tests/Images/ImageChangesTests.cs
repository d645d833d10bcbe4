using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Api.Tests.Images;

public sealed class ImageChangesTests : ImagesFixture
{
    [Test]
    public async Task Update_LabelOrSplitOfOne_ChangesItAlone()
    {
        var (model, images) = await AddModelAsync("cat", "cat");
        var path = $"/api/images/{images[0]}";
        var before = await Client.GetFromJsonAsync<JsonElement>(path);

        var relabelled = await JsonAsync(await Client.PatchAsJsonAsync(path, new { label = " cafe\u0301 " }));
        var moved = await JsonAsync(await Client.PatchAsJsonAsync(path, new { split = "test" }));

        Assert.That((relabelled.GetProperty("label").GetString(), relabelled.GetProperty("split").GetString()), Is.EqualTo(("caf\u00e9", "train")));
        Assert.That((moved.GetProperty("label").GetString(), moved.GetProperty("split").GetString()), Is.EqualTo(("caf\u00e9", "test")));
        Assert.That(moved.GetProperty("sha256").GetString(), Is.EqualTo(before.GetProperty("sha256").GetString()));
        Assert.That((await Client.GetFromJsonAsync<JsonElement>(path)).ToString(), Is.EqualTo(moved.ToString()));
        Assert.That(await LabelsAsync(model), Is.EqualTo(new[] { "caf\u00e9 test", "cat train" }));
    }

    [Test]
    public async Task Delete_One_RemovesItAndLetsItBeUploadedAgain()
    {
        var (model, images) = await AddModelAsync("cat", "dog");

        Assert.That((await Client.DeleteAsync($"/api/images/{images[0]}")).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        foreach (var path in new[] { $"/api/images/{images[0]}", $"/api/images/{images[0]}/content" })
            await ProblemAsync(await Client.GetAsync(path), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.DeleteAsync($"/api/images/{images[0]}"), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/images/{images[0]}", new { label = "x" }), HttpStatusCode.NotFound);
        Assert.That((await UploadAsync(model, ("label", "owl"), ("a.png", Png(0)))).Counts, Is.EqualTo((1, 0, 0)));
        Assert.That(await LabelsAsync(model), Is.EquivalentTo(new[] { "owl train", "dog train" }));
    }

    [Test]
    public async Task UpdateMany_ByIds_TellsChangedFromUnchangedAndMissing()
    {
        var (model, images) = await AddModelAsync("cat", "dog", "dog", "owl");
        var (_, others) = await AddModelAsync("cat");
        var unknown = Guid.NewGuid();

        var answer = await PatchAsync(model, new { ids = new[] { images[0], images[1], images[0], unknown, others[0] }, label = "dog" });

        Assert.That(answer.ToString(), Is.EqualTo($$"""{"changed":1,"unchanged":1,"missing":["{{unknown}}","{{others[0]}}"]}"""));
        Assert.That(await LabelsAsync(model), Is.EqualTo(new[] { "dog train", "dog train", "dog train", "owl train" }));
        Assert.That((await PatchAsync(model, new { ids = images, label = "dog", split = "train" })).GetProperty("changed").GetInt32(), Is.EqualTo(1));
        Assert.That((await PatchAsync(model, new { ids = images, split = "test" })).GetProperty("changed").GetInt32(), Is.EqualTo(4));
    }

    [Test]
    public async Task UpdateMany_OfALabel_RenamesTheClass()
    {
        var (model, _) = await AddModelAsync("cat", "dog", "cat");

        Assert.That((await PatchAsync(model, new { where = new { label = "cat" }, label = "tiger" })).ToString(), Is.EqualTo("""{"changed":2,"unchanged":0,"missing":[]}"""));
        Assert.That((await PatchAsync(model, new { where = new { label = "cat" }, label = "tiger" })).GetProperty("changed").GetInt32(), Is.Zero, "there is no such class any more");
        Assert.That((await PatchAsync(model, new { where = new { label = "tiger" }, label = "tiger" })).GetProperty("unchanged").GetInt32(), Is.EqualTo(2));
        Assert.That((await PatchAsync(model, new { where = new { label = "tiger", split = "train" }, split = "validation" })).GetProperty("changed").GetInt32(), Is.EqualTo(2));
        Assert.That(await LabelsAsync(model), Is.EqualTo(new[] { "tiger validation", "dog train", "tiger validation" }));
    }

    [Test]
    public async Task Class_OfMoreThanOneTransactionTakes_IsChangedAndRemovedWhole()
    {
        var model = await Database.ModelAsync(images: 12_000, classes: 2);

        Assert.That((await PatchAsync(model, new { where = new { split = "train" }, label = "one" })).GetProperty("changed").GetInt32(), Is.EqualTo(12_000));
        Assert.That(await Database.ScalarAsync<long>("SELECT images_revision FROM models WHERE id = $1", model), Is.EqualTo(3));
        Assert.That((await DeleteAsync(model, new { where = new { label = "one" } })).ToString(), Is.EqualTo("""{"deleted":12000,"missing":[]}"""));
        Assert.That(await ListAsync(model), Is.Empty);
    }

    [Test]
    public async Task DeleteMany_ByIds_TellsWhatWasMissing()
    {
        var (model, images) = await AddModelAsync("cat", "dog", "owl");
        var unknown = Guid.NewGuid();

        Assert.That((await DeleteAsync(model, new { ids = new[] { images[2], unknown, images[0] } })).ToString(), Is.EqualTo($$"""{"deleted":2,"missing":["{{unknown}}"]}"""));
        Assert.That(await LabelsAsync(model), Is.EqualTo(new[] { "dog train" }));
    }

    [Test]
    public async Task Changes_ThatChangeNothing_LeaveTheRevision()
    {
        var (model, images) = await AddModelAsync("cat", "dog");
        var before = await RevisionAsync();

        await Client.PatchAsJsonAsync($"/api/images/{images[0]}", new { label = "cat" });
        await PatchAsync(model, new { ids = new[] { Guid.NewGuid() }, label = "x" });
        await DeleteAsync(model, new { where = new { label = "x" } });
        Assert.That(await RevisionAsync(), Is.EqualTo(before));
        await Client.PatchAsJsonAsync($"/api/images/{images[0]}", new { label = "dog" });
        Assert.That(await RevisionAsync(), Is.EqualTo(before + 1));

        Task<long> RevisionAsync() => Database.ScalarAsync<long>("SELECT images_revision FROM models WHERE id = $1", model);
    }

    [Test]
    public async Task Changes_FromManyAtOnce_NeitherWaitCrosswiseNorGetLost()
    {
        const int Rounds = 8;
        var model = await NewModelAsync();
        await UploadAsync(model, ("x.zip", Zip([.. Enumerable.Range(0, 200).Select(seed => ($"{seed % 2}/{seed}.png", Png(seed)))])));
        var ids = (await ListAsync(model)).Select(image => image.GetProperty("id").GetGuid()).ToArray();

        await Task.WhenAll(Enumerable.Range(0, Rounds).SelectMany(round => new Task[]
        {
            PatchAsync(model, new { ids = ids[..150].OrderBy(_ => Random.Shared.Next()), label = $"{round}" }),
            DeleteAsync(model, new { ids = ids[150..].OrderBy(_ => Random.Shared.Next()) }),
            UploadAsync(model, ("y.zip", Zip([.. Enumerable.Range(1000 + (round * 50), 100).Select(seed => ($"new/{seed}.png", Png(seed)))]))),
        }));

        Assert.That(
            await Database.ScalarAsync<string[]>("SELECT array_agg(format('%s %s', label = 'new', count) ORDER BY count) FROM (SELECT label, count(*) FROM images WHERE model_id = $1 GROUP BY label) AS labels", model),
            Is.EqualTo(new[] { "f 150", "t 450" }));
    }

    [Test]
    public async Task DataSetVersion_WhoseImagesAreRemoved_KeepsTheirBytes()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("x.zip", Zip([.. Enumerable.Range(0, 20).Select(seed => ($"{seed % 2}/{seed}.png", Png(seed)))])));
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));

        await PatchAsync(model, new { where = new { label = "0" }, label = "1" });
        await DeleteAsync(model, new { where = new { split = "train" } });

        var blobs = Services.GetRequiredService<IBlobStore>();
        var manifest = DataSetManifest.Open(await blobs.GetPathAsync(
            await Database.ScalarAsync<string>("SELECT manifest_blob FROM data_set_versions WHERE model_id = $1", model), default));
        Assert.That(manifest.Count, Is.EqualTo(20));
        Assert.That(manifest.Classes, Is.EqualTo(new[] { "0", "1" }));
        for (var row = 0; row < manifest.Count; row++)
        {
            var (pack, offset, length) = manifest.Location(row);
            var bytes = new byte[length];
            await using var stream = await blobs.OpenReadAsync(manifest.Packs[pack], offset, length, default);
            await stream.ReadExactlyAsync(bytes);
            Assert.That(HashOf(bytes), Is.EqualTo(Convert.ToHexStringLower(manifest.Sha256(row))));
        }

        var experiment = await JsonAsync(await Client.GetAsync($"/api/experiments/{study.GetProperty("experiments")[0].GetProperty("id").GetGuid()}"));
        Assert.That(experiment.GetProperty("status").GetString(), Is.EqualTo("queued"));
    }

    [TestCase("""{"label": ""}""", "label")]
    [TestCase("""{"label": "a\u0000"}""", "label")]
    [TestCase("""{"label": "two\nlines"}""", "label")]
    [TestCase("""{"label": 3}""", "label")]
    [TestCase("""{"split": "training"}""", "split")]
    [TestCase("""{"split": 1}""", "split")]
    [TestCase("""{"name": "x"}""", "name")]
    public async Task Update_WithAWrongField_NamesIt(string body, string field)
    {
        var (_, images) = await AddModelAsync("cat");

        await InvalidAsync(await Client.PatchAsync($"/api/images/{images[0]}", Json(body)), field);
    }

    [TestCase("""{"label": "x"}""", "ids")]
    [TestCase("""{"label": "x", "ids": []}""", "ids")]
    [TestCase("""{"label": "x", "ids": ["1"]}""", "ids[0]")]
    [TestCase("""{"label": "x", "ids": [null]}""", "ids[0]")]
    [TestCase("""{"label": "x", "ids": "1"}""", "ids")]
    [TestCase("""{"label": "x", "where": {}}""", "where")]
    [TestCase("""{"label": "x", "where": {"label": ""}}""", "where.label")]
    [TestCase("""{"label": "x", "where": {"split": "all"}}""", "where.split")]
    [TestCase("""{"label": "x", "where": {"name": "all"}}""", "where.name")]
    [TestCase("""{"label": "x", "where": {"label": "y"}, "ids": ["01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f"]}""", "where")]
    [TestCase("""{"label": "\u200b", "where": {"label": "y"}}""", "label")]
    public async Task UpdateMany_WithAWrongField_NamesIt(string body, string field) =>
        await InvalidAsync(await Client.PatchAsync($"/api/models/{await NewModelAsync()}/images", Json(body)), field);

    [TestCase("{}", "ids")]
    [TestCase("""{"where": {"label": null}}""", "where")]
    [TestCase("""{"label": "cat"}""", "label")]
    public async Task DeleteMany_WithAWrongField_NamesIt(string body, string field) =>
        await InvalidAsync(await PostRawAsync($"/api/models/{await NewModelAsync()}/images/delete", body), field);

    [Test]
    public async Task Many_BeyondAThousandIds_AreRefused()
    {
        var path = $"/api/models/{await NewModelAsync()}/images";
        var ids = Enumerable.Range(0, 1001).Select(_ => Guid.NewGuid()).ToArray();

        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { ids, label = "x" }), "ids");
        await InvalidAsync(await Client.PostAsJsonAsync($"{path}/delete", new { ids }), "ids");
        Assert.That((await JsonAsync(await Client.PostAsJsonAsync($"{path}/delete", new { ids = ids[1..] }))).GetProperty("missing").GetArrayLength(), Is.EqualTo(1000));
    }

    [Test]
    public async Task Changes_WithoutAChangeOrAModelOrJson_AreRefused()
    {
        var (model, images) = await AddModelAsync("cat");
        var unknown = Guid.NewGuid();
        using var text = new StringContent("label=x", Encoding.UTF8, "text/plain");
        using var large = Json($$"""{"label": "{{new string('a', 1024 * 1024)}}"}""");

        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/images/{images[0]}", new { }), HttpStatusCode.BadRequest);
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{model}/images", new { ids = images }), HttpStatusCode.BadRequest);
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{unknown}/images", new { ids = images, label = "x" }), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PostAsJsonAsync($"/api/models/{unknown}/images/delete", new { ids = images }), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PatchAsync($"/api/images/{images[0]}", text), HttpStatusCode.UnsupportedMediaType);
        await ProblemAsync(await Client.PatchAsync($"/api/models/{model}/images", large), HttpStatusCode.RequestEntityTooLarge);
        await ProblemAsync(await PostRawAsync($"/api/models/{model}/images/delete", "{\"ids\": ["), HttpStatusCode.BadRequest);
        await ProblemAsync(await Client.GetAsync($"/api/images/{unknown}"), HttpStatusCode.NotFound);
    }

    /// <summary>A model with one image for each label; the images' ids, in this order.</summary>
    private async Task<(Guid Model, Guid[] Images)> AddModelAsync(params string[] labels)
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("x.zip", Zip([.. labels.Select((label, seed) => ($"train/{label}/{seed}.png", Png(seed)))])));
        return (model, [.. (await ListAsync(model)).Select(image => image.GetProperty("id").GetGuid())]);
    }

    private async Task<List<string>> LabelsAsync(Guid model) =>
        [.. (await ListAsync(model)).Select(image => $"{image.GetProperty("label")} {image.GetProperty("split")}")];

    private async Task<JsonElement> PatchAsync(Guid model, object request) => await OkAsync(await Client.PatchAsJsonAsync($"/api/models/{model}/images", request));

    private async Task<JsonElement> DeleteAsync(Guid model, object request) => await OkAsync(await Client.PostAsJsonAsync($"/api/models/{model}/images/delete", request));

    private static async Task<JsonElement> OkAsync(HttpResponseMessage response)
    {
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");
}
