using System.Diagnostics;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>Lists of what meets a filter, in PostgreSQL's own evaluation.</summary>
public sealed class ExperimentFilterTests : ApiFixture
{
    private Guid _model;
    private List<Guid> _experiments = null!;

    /// <summary>Numbers 1 to 8: learning rate 0.1, 0.2 x layers 1, 2 x steps 10, 20; the first four are completed.</summary>
    [OneTimeSetUp]
    public async Task GenerateAsync()
    {
        _model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{_model}/experiments", """{"space": {"learningRate": [0.1, 0.2], "layers": [1, 2], "steps": [10, 20]}}"""));
        _experiments = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
        for (var place = 0; place < 4; place++)
            await Database.CompleteAsync(_experiments[place], 0.9 + (place * 0.01), loss: place == 3 ? double.PositiveInfinity : 0.1);
        await Database.ExecuteAsync("UPDATE experiments SET status = 'failed', error = 'Out of memory: 5 GiB' WHERE id = $1", _experiments[7]);
        await Database.ExecuteAsync("UPDATE experiments SET name = 'the \"odd\" one, 100 %', created_at = '2026-01-01T00:00Z' WHERE id = $1", _experiments[6]);
    }

    [TestCase("layers = 2", "3 4 7 8")]
    [TestCase("layers != 2", "1 2 5 6")]
    [TestCase("layers<2 and steps>10", "2 6")]
    [TestCase("layers < 1.5", "1 2 5 6")]
    [TestCase("learningRate = 1e-1 AND (layers = 2 OR steps = 10)", "1 3 4")]
    [TestCase("learningRate = 0.1 and layers = 2 or steps = 10 and layers = 1", "1 3 4 5")]
    [TestCase("not layers = 2 and not not steps = 20", "2 6")]
    [TestCase("steps in (20, 30) and number in (2,4,5)", "2 4")]
    [TestCase("accuracy >= 0.92", "3 4")]
    [TestCase("accuracy is null", "5 6 7 8")]
    [TestCase("accuracy is not null and loss is null", "4")]
    [TestCase("accuracy != 0.9", "2 3 4 5 6 7 8")]
    [TestCase("number is null", "")]
    [TestCase("status = failed or status = 'completed'", "1 2 3 4 8")]
    [TestCase("status in (queued)", "5 6 7")]
    [TestCase("worker = worker-1 and steps = 10", "1 3")]
    [TestCase("error ~ 'MEMORY: 5'", "8")]
    [TestCase("name ~ '100 %'", "7")]
    [TestCase("name = \"the \"\"odd\"\" one, 100 %\"", "7")]
    [TestCase("name < 'm' and steps = 10", "1 3 5")]
    [TestCase("createdAt < '2026-02-01'", "7")]
    [TestCase("createdAt >= 2026-02-01T00:00:00+01:00 and finishedAt is not null and finishedAt > '2020-01-01'", "1 2 3 4")]
    [TestCase("architecture = cnn and optimizer ~ ADA and priority = 0 and number <= 2", "1 2")]
    [TestCase("precision = float32 and not precision in (bfloat16) and layers = 2", "3 4 7 8")]
    [TestCase("  ", "1 2 3 4 5 6 7 8")]
    public async Task Filter_ListsWhatMeetsIt(string filter, string numbers)
    {
        var path = $"/api/models/{_model}/experiments";
        var query = $"filter={Uri.EscapeDataString(filter)}";

        var list = await JsonAsync(await Client.GetAsync($"{path}?{query}"));
        var summary = await JsonAsync(await Client.GetAsync($"{path}/summary?{query}"));

        Assert.That(string.Join(' ', list.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("number").GetInt32())), Is.EqualTo(numbers));
        Assert.That(summary.GetProperty("count").GetInt32(), Is.EqualTo(list.GetProperty("items").GetArrayLength()));
        Assert.That(summary.GetProperty("statuses").EnumerateObject().Sum(status => status.Value.GetInt32()), Is.EqualTo(summary.GetProperty("count").GetInt32()));
    }

    [TestCase("layers", "The filter ends where a comparison after layers")]
    [TestCase("layers =", "The filter ends where a value for layers")]
    [TestCase("layers = two", "\"two\" (at character 10) is no number")]
    [TestCase("layers = NaN", "is no number")]
    [TestCase("layers ~ 2", "~ is for texts")]
    [TestCase("status = finished", "There is no status \"finished\"")]
    [TestCase("createdAt > soon", "is no time")]
    [TestCase("colour = 1", "At character 1 of the filter there is \"colour\", where a column (number, name, tags, status")]
    [TestCase("layers = 1 steps = 2", "At character 12 of the filter there is \"steps\", where \"and\", \"or\" or the end")]
    [TestCase("(layers = 1", "The filter ends where \")\"")]
    [TestCase("layers = 1)", "there is \")\"")]
    [TestCase("layers in 1", "\"(\" was expected")]
    [TestCase("layers in ()", "a value for layers")]
    [TestCase("layers in (1 2)", "\",\" or \")\"")]
    [TestCase("layers is 1", "\"null\" was expected")]
    [TestCase("not", "The filter ends where a column")]
    [TestCase("'layers' = 1", "a column")]
    [TestCase("LAYERS = 1", "a column")]
    [TestCase("name = 'open", "The quote at character 8 is never closed.")]
    [TestCase("layers = 1; DROP TABLE experiments", "is no number")]
    public async Task Filter_ThatIsWrong_SaysWhere(string filter, string words)
    {
        var problem = await InvalidAsync(await Client.GetAsync($"/api/models/{_model}/experiments?filter={Uri.EscapeDataString(filter)}"), "filter");

        Assert.That(problem.GetProperty("errors").GetProperty("filter")[0].GetString(), Does.Contain(words));
    }

    [Test]
    public async Task Filter_ThatIsTooMuch_IsRefused()
    {
        foreach (var filter in new[]
        {
            new string('(', 1000), string.Join(" or ", Enumerable.Repeat("layers = 1", 51)), $"layers in ({string.Join(',', Enumerable.Range(0, 51))})", $"name = '{new string('x', 2000)}'",
            string.Concat(Enumerable.Repeat("not ", 400)) + "layers = 1",
        })
        {
            await InvalidAsync(await Client.GetAsync($"/api/models/{_model}/experiments?filter={Uri.EscapeDataString(filter)}"), "filter");
        }
    }

    [TestCase("ODD", "7")]
    [TestCase("lr 0.1, layers 1", "1 2")]
    [TestCase("#3", "3")]
    [TestCase("memory", "8")]
    [TestCase("100 %", "7")]
    [TestCase("nothing like it", "")]
    public async Task Search_FindsByWhatPeopleSee(string text, string numbers)
    {
        var list = await JsonAsync(await Client.GetAsync($"/api/models/{_model}/experiments?search={Uri.EscapeDataString(text)}"));

        Assert.That(string.Join(' ', list.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("number").GetInt32())), Is.EqualTo(numbers));
    }

    [Test]
    public async Task Search_ById_FindsOneAcrossModels()
    {
        var list = await JsonAsync(await Client.GetAsync($"/api/experiments?search={_experiments[5]}"));

        Assert.That(list.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetGuid()), Is.EqualTo(new[] { _experiments[5] }));
    }

    [Test]
    public async Task Pages_OfAFilteredAndSortedList_HaveEachOnce()
    {
        var numbers = new List<int>();
        string? cursor = null;
        do
        {
            var page = await JsonAsync(await Client.GetAsync(
                $"/api/models/{_model}/experiments?limit=2&sort=worker&order=desc&filter=number>1{(cursor is null ? "" : $"&cursor={cursor}")}"));
            numbers.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("number").GetInt32()));
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);

        Assert.That(numbers, Is.EqualTo(new[] { 2, 3, 4, 5, 6, 7, 8 }));
    }

    [Test]
    public async Task Lists_OfAHundredThousand_AnswerAtOnce()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 10}}""");
        await Database.ExecuteAsync(
            """
            INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps, priority, diverged, reproducible,
                                     accuracy, loss, mean_squared_error, weights_blob, weights_hash, duration_seconds, saved_seconds, worker, created_at, queued_at, started_at, finished_at)
            SELECT gen_random_uuid(), model_id, study_id, trajectory_id, i + 1, 'lr ' || i || ', layers 1, steps 10', 'completed',
                   parameters || jsonb_build_object('learningRate', i * 1e-5, 'layers', i % 8 + 1), encode(sha256(i::text::bytea), 'hex'), total_steps, 0, false, true,
                   0.5 + (i * 7919 % 100000) / 200000.0, 0.1, 0.01, repeat('a', 64), repeat('a', 64), 1, 0, 'worker-1', created_at, queued_at, now(), now()
            FROM experiments, generate_series(1, 100000) AS i WHERE model_id = $1
            """,
            model);
        await Database.ExecuteAsync("ANALYZE experiments");

        foreach (var query in new[]
        {
            "", "?sort=accuracy&order=desc", "?sort=learningRate", "?sort=name&order=desc", "?filter=accuracy>0.98 and layers in (2,3)&sort=accuracy&order=desc", "?search=99999", "/summary?filter=layers=2", "/points",
        })
        {
            await Client.GetAsync($"/api/models/{model}/experiments{query}");
            var clock = Stopwatch.StartNew();
            var answer = await JsonAsync(await Client.GetAsync($"/api/models/{model}/experiments{query}"));
            await TestContext.Progress.WriteLineAsync($"100,000 experiments, {(query.Length == 0 ? "first page" : query)}: {clock.ElapsedMilliseconds} ms");
            Assert.That(answer.ValueKind, Is.EqualTo(JsonValueKind.Object));
            Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(3)), "a third of a second on a machine with nothing else to do");
        }
    }
}
