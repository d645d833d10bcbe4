using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Images;

public sealed class ImagesTests : ImagesFixture
{
    [Test]
    public async Task Content_OfAnImage_IsTheUploadedFile()
    {
        var (model, file) = (await NewModelAsync(), Png(3));
        await UploadAsync(model, ("label", "cat"), ("first.png", Png(2)), ("x.png", file));
        var path = (await ListAsync(model))[1].GetProperty("content").GetString();
        using var response = await Client.GetAsync(path);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(await response.Content.ReadAsByteArrayAsync(), Is.EqualTo(file));
            Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("image/png"));
            Assert.That(response.Content.Headers.ContentLength, Is.EqualTo(file.Length));
            Assert.That(response.Headers.ETag?.Tag, Is.EqualTo($"\"{HashOf(file)}\""));
            Assert.That(response.Headers.CacheControl?.ToString(), Does.Contain("immutable"));
            Assert.That(response.Headers.GetValues("X-Content-Type-Options"), Is.EqualTo(new[] { "nosniff" }));
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.IfNoneMatch.Add(new EntityTagHeaderValue($"\"{HashOf(file)}\""));
        using var again = await Client.SendAsync(request);
        Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.NotModified));
    }

    [Test]
    public async Task List_PageByPage_GivesEachImageOnceInOrder()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("x.zip", Zip([.. Enumerable.Range(0, 25).Select(seed => ($"{seed % 2}/{seed:00}.png", Png(seed)))])));
        var names = new List<string?>();
        string? cursor = null;
        var pages = 0;
        do
        {
            var page = await Client.GetFromJsonAsync<JsonElement>($"/api/models/{model}/images?limit=10&cursor={cursor}");
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(image => image.GetProperty("fileName").GetString()));
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null && ++pages < 1000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(names, Is.EqualTo(Enumerable.Range(0, 25).Select(seed => $"{seed % 2}/{seed:00}.png")));
            Assert.That(await ListAsync(model, "label=1"), Has.Count.EqualTo(12));
        }
    }

    [TestCase("limit=0", "limit")]
    [TestCase("limit=501", "limit")]
    [TestCase("cursor=nonsense", "cursor")]
    [TestCase("split=other", "split")]
    public async Task List_WrongQuery_NamesTheField(string query, string field) =>
        await InvalidAsync(await Client.GetAsync($"/api/models/{await NewModelAsync()}/images?{query}"), field);

    [Test]
    public async Task Summary_OfClassesAndSplits_CountsThem()
    {
        var model = await NewModelAsync();
        var zip = Zip([.. Enumerable.Range(0, 30).Select(seed => ($"{(seed < 20 ? "train" : "test")}/{(seed % 3 == 0 ? "b" : "a")}/{seed}.png", Png(seed)))]);
        await UploadAsync(model, ("x.zip", zip));
        var summary = await Client.GetFromJsonAsync<JsonElement>($"/api/models/{model}/images/summary");
        var resolved = summary.GetProperty("resolved");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(summary.GetProperty("total").GetInt32(), Is.EqualTo(30));
            Assert.That(summary.GetProperty("totalBytes").GetInt64(), Is.EqualTo(Enumerable.Range(0, 30).Sum(seed => Png(seed).Length)));
            Assert.That(summary.GetProperty("uploaded").GetRawText(), Is.EqualTo("""{"train":20,"validation":0,"test":10}"""));
            Assert.That(resolved.GetProperty("train").GetInt32() + resolved.GetProperty("validation").GetInt32(), Is.EqualTo(20));
            Assert.That(resolved.GetProperty("validation").GetInt32(), Is.Positive);
            Assert.That(summary.GetProperty("classes").EnumerateArray().Select(entry => $"{entry.GetProperty("label")} {entry.GetProperty("total")}"),
                Is.EqualTo(new[] { "a 20", "b 10" }));
        }
    }

    [Test]
    public async Task Summary_WithoutImages_SaysWhatIsMissing()
    {
        var summary = await Client.GetFromJsonAsync<JsonElement>($"/api/models/{await NewModelAsync()}/images/summary");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(summary.GetProperty("resolved").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(summary.GetProperty("notTrainable").GetString(), Does.Contain("no images"));
        }
    }

    [TestCase("/api/models/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d/images")]
    [TestCase("/api/models/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d/images/summary")]
    [TestCase("/api/images/01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d/content")]
    public async Task Get_WhatIsNotThere_IsNotFound(string path) => await ProblemAsync(await Client.GetAsync(path), HttpStatusCode.NotFound);
}
