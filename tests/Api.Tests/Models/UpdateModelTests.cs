using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Models;

public sealed class UpdateModelTests : ApiFixture
{
    private const string Notes = "First line.\n\tSecond line.";

    [Test]
    public async Task Create_WithNotesAndTags_HasThem()
    {
        var model = await CreateAsync(new { name = Unique(), notes = $"  {Notes}\n", tags = new[] { " demo ", "Handwriting", "DEMO", "été" } });

        Assert.That(model.GetProperty("notes").GetString(), Is.EqualTo(Notes));
        Assert.That(Tags(model), Is.EqualTo(new[] { "demo", "Handwriting", "été" }), "trimmed, and each once without regard to case");
        Assert.That(model.GetProperty("archived").GetBoolean(), Is.False);
        Assert.That(model.GetProperty("archivedAt").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public async Task Update_OneMember_LeavesTheOthers()
    {
        var before = await CreateAsync(new { name = Unique(), notes = Notes, tags = new[] { "a", "b" } });
        var name = Unique();

        var renamed = await PatchAsync(before, JsonSerializer.Serialize(new { name }));
        Assert.That(renamed.GetProperty("name").GetString(), Is.EqualTo(name));
        Assert.That((renamed.GetProperty("notes").GetString(), Tags(renamed).Count), Is.EqualTo((Notes, 2)));

        var tagged = await PatchAsync(before, """{"tags": ["c"]}""");
        Assert.That(Tags(tagged), Is.EqualTo(new[] { "c" }));
        Assert.That((tagged.GetProperty("name").GetString(), tagged.GetProperty("notes").GetString()), Is.EqualTo((name, Notes)));

        var archived = await PatchAsync(before, """{"archived": true}""");
        Assert.That(archived.GetProperty("archived").GetBoolean());
        Assert.That((Tags(archived).Single(), archived.GetProperty("notes").GetString()), Is.EqualTo(("c", Notes)));
        Assert.That((await PatchAsync(before, """{"archived": true}""")).GetProperty("archivedAt").GetDateTimeOffset(),
            Is.EqualTo(archived.GetProperty("archivedAt").GetDateTimeOffset()), "archived since the first time");

        Assert.That((await PatchAsync(before, """{"tags": []}""")).GetProperty("tags").GetArrayLength(), Is.Zero);
        Assert.That((await PatchAsync(before, """{"archived": false}""")).GetProperty("archivedAt").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [TestCase("null")]
    [TestCase("\"\"")]
    [TestCase("\" \\n\"")]
    public async Task Update_NotesToNothing_RemovesThem(string nothing)
    {
        var model = await CreateAsync(new { name = Unique(), notes = Notes });

        Assert.That((await PatchAsync(model, $$"""{"notes": {{nothing}}}""")).GetProperty("notes").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [TestCase("""{"name": null}""", "name")]
    [TestCase("""{"name": ""}""", "name")]
    [TestCase("""{"name": "two\nlines"}""", "name")]
    [TestCase("""{"name": 3}""", "name")]
    [TestCase("""{"notes": "a\u0000b"}""", "notes")]
    [TestCase("""{"notes": "a\u0007b"}""", "notes")]
    [TestCase("""{"notes": "\u200b"}""", "notes")]
    [TestCase("""{"notes": ["a"]}""", "notes")]
    [TestCase("""{"tags": null}""", "tags")]
    [TestCase("""{"tags": "a"}""", "tags")]
    [TestCase("""{"tags": ["a", ""]}""", "tags[1]")]
    [TestCase("""{"tags": ["a", null]}""", "tags[1]")]
    [TestCase("""{"tags": ["a", 3]}""", "tags[1]")]
    [TestCase("""{"tags": ["a\u0000"]}""", "tags[0]")]
    [TestCase("""{"tags": ["two\nlines"]}""", "tags[0]")]
    [TestCase("""{"archived": null}""", "archived")]
    [TestCase("""{"archived": "yes"}""", "archived")]
    [TestCase("""{"colour": "red"}""", "colour")]
    [TestCase("""{"name": null, "tags": null, "archived": null}""", "name", "tags", "archived")]
    public async Task Update_WithAWrongField_NamesIt(string body, params string[] fields)
    {
        var model = await CreateAsync(new { name = Unique() });

        await InvalidAsync(await Client.PatchAsync(Path(model), Json(body)), fields);
        Assert.That((await JsonAsync(await Client.GetAsync(Path(model)))).ToString(), Is.EqualTo(model.ToString()), "nothing is changed");
    }

    [Test]
    public async Task Update_BeyondTheLimits_NamesTheField()
    {
        var path = Path(await CreateAsync(new { name = Unique() }));
        var emoji = string.Concat(Enumerable.Repeat("\U0001F600", 50));

        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { notes = new string('a', 10_001) }), "notes");
        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { tags = new[] { emoji + "a" } }), "tags[0]");
        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { tags = Enumerable.Range(0, 21).Select(tag => $"{tag}") }), "tags");
        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { name = new string('a', 201) }), "name");
        // U+FB2C becomes three characters in normal form C.
        await InvalidAsync(await Client.PatchAsJsonAsync(path, new { notes = new string('\uFB2C', 5000) }), "notes");
        var full = await Client.PatchAsJsonAsync(path, new { notes = new string('a', 10_000), tags = Enumerable.Range(10, 20).Select(tag => $"{tag}{emoji[4..]}") });
        Assert.That(full.StatusCode, Is.EqualTo(HttpStatusCode.OK), await full.Content.ReadAsStringAsync());
        Assert.That(Tags(await JsonAsync(full)), Has.Count.EqualTo(20));
    }

    [TestCase("{}")]
    [TestCase("")]
    [TestCase("[]")]
    [TestCase("{\"name\": ")]
    [TestCase("{\"notes\": \"\\ud800\"}")]
    public async Task Update_WithoutAReadableChange_Gives400InWords(string body) =>
        await ProblemAsync(await Client.PatchAsync(Path(await CreateAsync(new { name = Unique() })), Json(body)), HttpStatusCode.BadRequest);

    [Test]
    public async Task Update_AnUnknownModelOrAnotherContentType_IsRefused()
    {
        var model = await CreateAsync(new { name = Unique() });
        using var text = new StringContent("archived=true", System.Text.Encoding.UTF8, "text/plain");
        using var large = Json($$"""{"notes": "{{new string('a', 1024 * 1024)}}"}""");

        await ProblemAsync(await Client.PatchAsJsonAsync($"/api/models/{Guid.NewGuid()}", new { archived = true }), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PatchAsync(Path(model), text), HttpStatusCode.UnsupportedMediaType);
        await ProblemAsync(await Client.PatchAsync(Path(model), large), HttpStatusCode.RequestEntityTooLarge);
    }

    [Test]
    public async Task Archived_Model_RefusesWhatChangesItButNotTheRest()
    {
        var id = await Database.ModelAsync();
        await Client.PostAsJsonAsync($"/api/models/{id}/experiments", new { start = false });
        var image = await Database.ScalarAsync<Guid>("SELECT id FROM images WHERE model_id = $1 LIMIT 1", id);
        await Client.PatchAsJsonAsync($"/api/models/{id}", new { archived = true });
        using var form = new MultipartFormDataContent { { new ByteArrayContent([1]), "files", "a.png" }, { new StringContent("a"), "label" } };

        foreach (var refused in new[]
        {
            await Client.PostAsync($"/api/models/{id}/images", form),
            await Client.PostAsync($"/api/models/{id}/experiments", null),
            await Client.PostAsync($"/api/models/{id}/train", null),
            await Client.PatchAsJsonAsync($"/api/images/{image}", new { label = "1" }),
            await Client.DeleteAsync($"/api/images/{image}"),
            await Client.PatchAsJsonAsync($"/api/models/{id}/images", new { ids = new[] { image }, label = "1" }),
            await Client.PostAsJsonAsync($"/api/models/{id}/images/delete", new { ids = new[] { image } }),
        })
            Assert.That((await ProblemAsync(refused, HttpStatusCode.Conflict)).GetProperty("detail").GetString(), Does.Contain("\"archived\": false"));

        foreach (var path in new[] { "", "/images", "/images/summary", "/experiments" })
            Assert.That((await Client.GetAsync($"/api/models/{id}{path}")).StatusCode, Is.EqualTo(HttpStatusCode.OK), path);
        Assert.That((await Client.PatchAsJsonAsync($"/api/models/{id}", new { notes = "Kept for comparison." })).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        await Client.PatchAsJsonAsync($"/api/models/{id}", new { archived = false });
        Assert.That((await JsonAsync(await Client.PostAsync($"/api/models/{id}/train", null))).GetProperty("queued").GetInt32(), Is.EqualTo(27));
    }

    [Test]
    public async Task List_Filtered_ShowsOnlyThose()
    {
        var mark = Guid.NewGuid().ToString("N");
        var plain = await CreateAsync(new { name = $"Plain {mark}", tags = new[] { "Été", "100%" } });
        var archived = await CreateAsync(new { name = $"100% {mark}", tags = new[] { "été" } });
        var other = await CreateAsync(new { name = $@"1000_\ {mark}" });
        await PatchAsync(archived, """{"archived": true}""");

        Assert.That(await NamesAsync($"search={mark}"), Is.EqualTo(Names(other, plain)));
        Assert.That(await NamesAsync($"search={mark}&archived=false"), Is.EqualTo(Names(other, plain)));
        Assert.That(await NamesAsync($"search={mark}&archived=true"), Is.EqualTo(Names(archived)));
        Assert.That(await NamesAsync($"search={mark}&archived=all&order=name"), Is.EquivalentTo(Names(archived, other, plain)));
        Assert.That(await NamesAsync($"search=PLAIN {mark}"), Is.EqualTo(Names(plain)), "without regard to case");
        Assert.That(await NamesAsync($"search=100%25 {mark}&archived=all"), Is.EqualTo(Names(archived)), "a wildcard is a character");
        Assert.That(await NamesAsync($"search=0_&archived=all"), Does.Contain(other.GetProperty("name").GetString()).And.Not.Contain(archived.GetProperty("name").GetString()));
        Assert.That(await NamesAsync($@"search=_\ {mark}"), Is.EqualTo(Names(other)));
        Assert.That(await NamesAsync($"search={mark}&tag=e\u0301T\u00c9&archived=all"), Is.EqualTo(Names(archived, plain)), "in any normal form and case");
        Assert.That(await NamesAsync($"search={mark}&tag=1_0%25"), Is.Empty);
        Assert.That(await NamesAsync($"search={mark}&tag=100%25"), Is.EqualTo(Names(plain)));
        Assert.That(await NamesAsync($"search={mark}&tag="), Is.EqualTo(Names(other, plain)), "an empty field asks for nothing");
    }

    [Test]
    public async Task List_FilteredPageByPage_ShowsEachOnce()
    {
        var mark = Guid.NewGuid().ToString("N");
        for (var number = 0; number < 5; number++)
            await CreateAsync(new { name = $"{number} {mark}", tags = new[] { "x" } });
        var names = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await JsonAsync(await Client.GetAsync($"/api/models?limit=2&tag=x&search={mark}&order=name&cursor={cursor}"));
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString()));
            cursor = page.GetProperty("nextCursor").GetString() ?? "";
            if (cursor.Length > 0)
                await InvalidAsync(await Client.GetAsync($"/api/models?limit=2&tag=y&search={mark}&order=name&cursor={cursor}"), "cursor");
        }
        while (cursor.Length > 0 && names.Count < 10);

        Assert.That(names, Is.EqualTo(Enumerable.Range(0, 5).Select(number => $"{number} {mark}")));
    }

    [TestCase("archived=yes", "archived")]
    [TestCase("archived=", "archived")]
    [TestCase("search=a%00", "search")]
    [TestCase("tag=a%00", "tag")]
    [TestCase("tags=a", "tags")]
    public async Task List_WithAWrongFilter_NamesIt(string query, string field) => await InvalidAsync(await Client.GetAsync($"/api/models?{query}"), field);

    [Test]
    public async Task List_WithALongSearch_NamesIt() => await InvalidAsync(await Client.GetAsync($"/api/models?search={new string('a', 201)}"), "search");

    private async Task<JsonElement> CreateAsync(object request)
    {
        var response = await Client.PostAsJsonAsync("/api/models", request);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    private async Task<JsonElement> PatchAsync(JsonElement model, string body)
    {
        var response = await Client.PatchAsync(Path(model), Json(body));
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    private async Task<List<string?>> NamesAsync(string query) =>
        Names([.. (await JsonAsync(await Client.GetAsync($"/api/models?{query}"))).GetProperty("items").EnumerateArray()]);

    private static List<string?> Names(params JsonElement[] models) => [.. models.Select(model => model.GetProperty("name").GetString())];

    private static List<string?> Tags(JsonElement model) => [.. model.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString())];

    private static string Path(JsonElement model) => $"/api/models/{model.GetProperty("id").GetGuid()}";

    private static StringContent Json(string body) => new(body, System.Text.Encoding.UTF8, "application/json");

    private static string Unique() => $"model {Guid.NewGuid():N}";
}
