using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Models;

public sealed class ModelsTests : ApiFixture
{
    [Test]
    public async Task Create_WithANameOnly_HasTheDefaultInputSize()
    {
        var name = Unique();
        var response = await Client.PostAsJsonAsync("/api/models", new { name = $"  {name} " });
        var model = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), model.ToString());
        Assert.That(model.GetProperty("name").GetString(), Is.EqualTo(name));
        Assert.That(model.GetProperty("inputSize").ToString(), Is.EqualTo("""{"width":28,"height":28,"channels":1}"""));
        Assert.That(model.GetProperty("bestAccuracy").ValueKind, Is.EqualTo(JsonValueKind.Null), "fields are there when they are null");
        Assert.That(model.GetProperty("experiments").GetProperty("draft").GetInt32(), Is.Zero);
        Assert.That((await JsonAsync(await Client.GetAsync(response.Headers.Location))).ToString(), Is.EqualTo(model.ToString()));
    }

    [Test]
    public async Task Create_WithANameThatIsTakenInAnotherCase_Gives409()
    {
        var name = Unique();
        await Client.PostAsJsonAsync("/api/models", new { name });

        await ProblemAsync(await Client.PostAsJsonAsync("/api/models", new { name = name.ToUpperInvariant() }), HttpStatusCode.Conflict);
    }

    [TestCase("{}", "name")]
    [TestCase("""{"name": ""}""", "name")]
    [TestCase("""{"name": " \t"}""", "name")]
    [TestCase("""{"name": "a\u0000b"}""", "name")]
    [TestCase("""{"name": 3}""", "name")]
    [TestCase("""{"name": "a", "colour": "red"}""", "colour")]
    [TestCase("""{"name": "a", "name": "b"}""", "name")]
    [TestCase("""{"name": "a", "inputSize": {"width": 7}}""", "inputSize.width")]
    [TestCase("""{"name": "a", "inputSize": {"height": 225}}""", "inputSize.height")]
    [TestCase("""{"name": "a", "inputSize": {"channels": 2}}""", "inputSize.channels")]
    [TestCase("""{"name": "a", "inputSize": {"width": 28.5}}""", "inputSize.width")]
    [TestCase("""{"name": "a", "inputSize": {"depth": 3}}""", "inputSize.depth")]
    public async Task Create_WithAWrongField_NamesIt(string body, string field) =>
        await InvalidAsync(await PostRawAsync("/api/models", body), field);

    [TestCase("{\"name\": \"a\"")]
    [TestCase("[]")]
    [TestCase("")]
    [TestCase("null")]
    [TestCase("{\"name\": \"\\ud800\"}")]
    public async Task Create_WithoutAReadableBody_Gives400InWords(string body) =>
        await ProblemAsync(await PostRawAsync("/api/models", body), HttpStatusCode.BadRequest);

    [TestCase("", "needs a body")]
    [TestCase("null", "needs a body")]
    [TestCase("[]", "not the object")]
    [TestCase("3", "not the object")]
    [TestCase("{\"name\": ", "not valid JSON")]
    public async Task Create_WithoutAnObject_SaysSoInPlainWords(string body, string words)
    {
        var detail = (await ProblemAsync(await PostRawAsync("/api/models", body), HttpStatusCode.BadRequest)).GetProperty("detail").GetString();

        Assert.That(detail, Does.Contain(words));
        Assert.That(detail, Does.Not.Contain("parameter").And.Not.Contain("bind").And.Not.Contain("MlExperiments"));
    }

    [Test]
    public async Task List_WithALimitThatIsNoNumber_SaysTheRange() => Assert.That(
        (await InvalidAsync(await Client.GetAsync("/api/models?limit=abc"), "limit")).GetProperty("detail").GetString(),
        Is.EqualTo("\"abc\" is not a whole number from 1 to 500."));

    [TestCase("application/json; charset=klingon")]
    public async Task Create_InAnUnknownCharset_Gives415(string contentType)
    {
        var content = new ByteArrayContent("""{"name": "a"}"""u8.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);

        await ProblemAsync(await Client.PostAsync("/api/models", content), HttpStatusCode.UnsupportedMediaType);
    }

    // With a checksum that is right: how it is made is no secret.
    [TestCase("null")]
    [TestCase("[1]")]
    [TestCase("not json")]
    [TestCase("""{"Name": "a\u0000b"}""")]
    [TestCase("""{"Name": "\ud800"}""")]
    [TestCase("""{"CreatedAt": "yesterday"}""")]
    public async Task Cursor_Forged_IsRefused(string payload)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(payload);
        var checksum = System.Security.Cryptography.SHA256.HashData([.. "models name false\n\n"u8, 0, .. bytes])[..6];

        await InvalidAsync(await Client.GetAsync($"/api/models?order=name&cursor={System.Buffers.Text.Base64Url.EncodeToString([.. checksum, .. bytes])}"), "cursor");
    }

    [Test]
    public async Task Create_WithAnotherContentType_Gives415() => Assert.That(
        (await ProblemAsync(await PostRawAsync("/api/models", "name=a", "application/x-www-form-urlencoded"), HttpStatusCode.UnsupportedMediaType)).GetProperty("detail").GetString(),
        Does.Contain("this call takes application/json"));

    [Test]
    public async Task Put_OnModels_Gives405() =>
        await ProblemAsync(await Client.PutAsJsonAsync("/api/models", new { }), HttpStatusCode.MethodNotAllowed);

    [Test]
    public async Task Create_ByAPageOfAnotherSite_Gives403()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/models") { Content = JsonContent.Create(new { name = Unique() }) };
        request.Headers.Add("Origin", "https://elsewhere.example");

        await ProblemAsync(await Client.SendAsync(request), HttpStatusCode.Forbidden);
    }

    [TestCase("limit=0", "limit")]
    [TestCase("limit=501", "limit")]
    [TestCase("limit=many", "limit")]
    [TestCase("limit=", "limit")]
    [TestCase("limit=99999999999", "limit")]
    [TestCase("order=name%00", "order")]
    [TestCase("x=%00", "x")]
    [TestCase("cursor=abc", "cursor")]
    [TestCase("cursor=!", "cursor")]
    [TestCase("order=size", "order")]
    public async Task List_WithAWrongParameter_NamesIt(string query, string field) =>
        await InvalidAsync(await Client.GetAsync($"/api/models?{query}"), field);

    [TestCase("newest")]
    [TestCase("name")]
    public async Task List_PageByPage_ShowsEachModelOnce(string order)
    {
        // Letters that .NET and the database put into lower case differently.
        var names = Enumerable.Range(0, 5).Select(index => $"{"ÅİẞΣA"[index]} {Unique()}").ToList();
        foreach (var name in names)
            await Client.PostAsJsonAsync("/api/models", new { name });

        var seen = await AllAsync($"/api/models?limit=2&order={order}");

        Assert.That(seen, Is.Unique.And.SupersetOf(names));
        var ours = seen.Where(name => names.Contains(name!));
        Assert.That(ours, Is.EqualTo(order == "name" ? ours : names.AsEnumerable().Reverse()));
    }

    [Test]
    public async Task Cursor_OfAnotherOrderOrTamperedWith_IsRefused()
    {
        foreach (var name in new[] { Unique(), Unique() })
            await Client.PostAsJsonAsync("/api/models", new { name });
        var cursor = (await JsonAsync(await Client.GetAsync("/api/models?limit=1"))).GetProperty("nextCursor").GetString()!;

        await InvalidAsync(await Client.GetAsync($"/api/models?limit=1&order=name&cursor={cursor}"), "cursor");
        await InvalidAsync(await Client.GetAsync($"/api/models?limit=1&cursor={cursor[..^4]}AAAA"), "cursor");
    }

    [Test]
    public async Task Rename_ToAFreeAndATakenName_GivesItAnd409()
    {
        var taken = Unique();
        await Client.PostAsJsonAsync("/api/models", new { name = taken });
        var id = (await JsonAsync(await Client.PostAsJsonAsync("/api/models", new { name = Unique() }))).GetProperty("id").GetGuid();
        var name = Unique();

        Assert.That((await JsonAsync(await Client.PatchAsJsonAsync($"/api/models/{id}", new { name }))).GetProperty("name").GetString(), Is.EqualTo(name));
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{id}", new { name = taken }), HttpStatusCode.Conflict);
        await InvalidAsync(await Client.PatchAsJsonAsync($"/api/models/{id}", new { name = "" }), "name");
        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{Guid.NewGuid()}", new { name = Unique() }), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Delete_OfALargeModel_LeavesNothingOfIt_AndTheOthersAlone()
    {
        var (model, other) = (await Database.ModelAsync(images: 12_000), await Database.ModelAsync());
        foreach (var id in new[] { model, other })
        {
            await Client.PostAsJsonAsync($"/api/models/{id}/experiments", new
            {
                space = new { learningRate = new { min = 0.001, max = 0.002, count = 150 }, layers = new[] { 1, 2 }, steps = new[] { 100, 200 } },
            });
            await Database.ExecuteAsync(
                "INSERT INTO metric_points (trajectory_id, name, step, value) SELECT id, 'loss', point, 0.5 FROM trajectories, generate_series(1, 250) AS point WHERE model_id = $1", id);
        }

        Assert.That((await Client.DeleteAsync($"/api/models/{model}")).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));

        Assert.Multiple(async () =>
        {
            foreach (var table in new[] { "images", "experiments", "trajectories", "studies", "data_set_versions" })
            {
                Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM {table} WHERE model_id = $1", model), Is.Zero, table);
                Assert.That(await Database.ScalarAsync<long>($"SELECT count(*) FROM {table} WHERE model_id = $1", other), Is.Positive, table);
            }

            Assert.That(
                await Database.ScalarAsync<long>("SELECT count(*) FROM metric_points WHERE trajectory_id IN (SELECT id FROM trajectories WHERE model_id = $1)", other),
                Is.EqualTo(75_000));
        });
    }

    [Test]
    public async Task Delete_ThatWasInterrupted_CantBeTakenBack_AndGoesOnWhenAskedAgain()
    {
        var model = await Database.ModelAsync();
        await Database.ExecuteAsync("UPDATE models SET is_being_deleted = true, archived_at = now() WHERE id = $1", model);

        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{model}", new { archived = false }), HttpStatusCode.Conflict);

        Assert.That((await Client.DeleteAsync($"/api/models/{model}")).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        await ProblemAsync(await Client.GetAsync($"/api/models/{model}"), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Delete_Twice_Gives204Then404()
    {
        var id = (await JsonAsync(await Client.PostAsJsonAsync("/api/models", new { name = Unique() }))).GetProperty("id").GetGuid();

        Assert.That((await Client.DeleteAsync($"/api/models/{id}")).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        await ProblemAsync(await Client.DeleteAsync($"/api/models/{id}"), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.GetAsync($"/api/models/{id}"), HttpStatusCode.NotFound);
    }

    private async Task<List<string?>> AllAsync(string path)
    {
        var names = new List<string?>();
        string? cursor = null;
        var pages = 0;
        do
        {
            var page = await JsonAsync(await Client.GetAsync(cursor is null ? path : $"{path}&cursor={cursor}"));
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString()));
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null && ++pages < 1000);
        return names;
    }

    private static string Unique() => $"model {Guid.NewGuid():N}";
}
