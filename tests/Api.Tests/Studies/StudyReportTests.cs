using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MlExperiments.Api.Tests.Studies;

/// <summary>Reports of studies in every state: as a document, as data, as a table.</summary>
public sealed partial class StudyReportTests : ApiFixture
{
    private const string Attack = "<script>alert(1)</script>\"'&";

    [Test]
    public async Task Report_OfACompletedStudy_HasItsBestChartsSeedsCommandsAndExperiments()
    {
        var (_, study, experiments) = await GenerateAsync("""{"name": "Rates", "replicates": 2, "space": {"learningRate": [0.0001, 0.01], "layers": [1, 2]}, "fixed": {"steps": 100, "dropout": 0.25}}""");
        foreach (var (experiment, index) in experiments.Select((experiment, index) => (experiment, index)))
            await Database.CompleteAsync(experiment, 0.9 + (0.01 * index), testAccuracy: 0.5);
        await AddPointsAsync(experiments[7], 100);

        var html = await HtmlAsync(study);
        var data = await JsonAsync(await Client.GetAsync($"/api/studies/{study}/report?format=json"));

        Assert.Multiple(() =>
        {
            Assert.That(html, Does.Contain("<h1><bdi>Rates</bdi></h1>").And.Contain("97.00%").And.Contain("50.00%").And.Contain("Over seeds").And.Contain(new string('a', 64)));
            Assert.That(Regex.Count(html, "<figure>"), Is.EqualTo(4), "curves, heat map, two parameters");
            Assert.That(html, Does.Contain("1e-4").And.Contain("--i 0.01 --j 2 --k 100 --dropout 0.25 --seed 1 --images DIR"));
            Assert.That(Regex.Count(html, "<td class=\"words\">"), Is.EqualTo(8));
            Assert.That(Regex.Matches(html[html.IndexOf("<h2>Experiments", StringComparison.Ordinal)..], "9[0-9]\\.00%").Select(match => match.Value), Is.Ordered.Descending);
            Assert.That(data.GetProperty("best").GetProperty("experimentId").GetGuid(), Is.EqualTo(experiments[7]));
            Assert.That(data.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("name").GetString()), Is.EqualTo(new[] { "learningRate", "layers", "seed" }));
            Assert.That(data.GetProperty("parameters")[0].GetProperty("values")[1].GetProperty("meanAccuracy").GetDouble(), Is.EqualTo(0.955).Within(1e-9));
            Assert.That(data.GetProperty("results").GetArrayLength(), Is.EqualTo(4));
            Assert.That(data.GetProperty("curves")[0].GetProperty("points").GetArrayLength(), Is.EqualTo(100));
            Assert.That(data.GetProperty("curves")[0].GetProperty("points").EnumerateArray().Last().GetProperty("step").GetInt32(), Is.EqualTo(100));
            Assert.That(data.GetProperty("finishedAt").ValueKind, Is.EqualTo(JsonValueKind.String));
            Assert.That(data.GetProperty("moreExperiments").GetInt32(), Is.Zero);
            Assert.That(data.GetProperty("trainedSeconds").GetDouble(), Is.EqualTo(8).Within(1e-9));
        });
    }

    [Test]
    public async Task Report_OfTrainingsThatWereStoppedEarly_SaysAtWhichStep()
    {
        var (_, study, experiments) = await GenerateAsync("""{"space": {"learningRate": [0.0010001, 0.0010002], "steps": [2000, 3000]}, "fixed": {"layers": 1}}""");
        await Database.CompleteAsync(experiments[0], 0.9);
        await Database.CompleteAsync(experiments[1], 0.8);
        await Database.ExecuteAsync("UPDATE experiments SET stopped_early = true, ended_at_step = 1200 WHERE id = $1", experiments[0]);

        var html = await HtmlAsync(study);
        var data = await JsonAsync(await Client.GetAsync($"/api/studies/{study}/report?format=json"));

        Assert.That(Regex.Count(html, "stopped early at 1,200"), Is.EqualTo(2), "of the best, and in its row");
        Assert.That(html, Does.Contain(">0.0010001<").And.Contain(">0.0010002<"));
        Assert.That(data.GetProperty("best").GetProperty("step").GetInt32(), Is.EqualTo(1200));
        Assert.That(
            data.GetProperty("experiments").EnumerateArray().Take(3).Select(experiment => (experiment.GetProperty("stoppedEarly").GetBoolean(), $"{experiment.GetProperty("step")}")),
            Is.EqualTo(new[] { (true, "1200"), (false, "3000"), (false, "") }));
    }

    [Test]
    public async Task Report_OfAnUnfinishedStudy_SaysHowFarItIs()
    {
        var (_, study, experiments) = await GenerateAsync("""{"space": {"steps": [10, 20]}, "fixed": {"learningRate": 0.01, "layers": 1}}""");

        var before = await HtmlAsync(study);
        await Database.CompleteAsync(experiments[0], 0.9);
        var after = await HtmlAsync(study);

        Assert.Multiple(() =>
        {
            Assert.That(before, Does.Contain("No experiment is completed yet").And.Contain("0 of 2").And.Contain("2 queued").And.Not.Contain("<figure>").And.Not.Contain("all over"));
            Assert.That(after, Does.Contain("1 of 2").And.Contain("90.00%").And.Contain("<figure>").And.Not.Contain("all over"));
        });
    }

    [Test]
    public async Task Report_OfAStudyWhoseExperimentsAreGone_IsThereAllTheSame()
    {
        var (_, study, _) = await GenerateAsync("""{"space": {"steps": [10]}, "fixed": {"learningRate": 0.01, "layers": 1}}""");
        await Database.ExecuteAsync("DELETE FROM experiments WHERE study_id = $1", study);

        Assert.That(await HtmlAsync(study), Does.Contain("It has no experiments."));
    }

    [Test]
    public async Task Report_OfTenThousandExperiments_ShowsAThousand_AndSaysWhereTheOthersAre()
    {
        var (_, study, _) = await GenerateAsync(
            """{"start": false, "space": {"learningRate": {"min": 0.0001, "max": 0.1, "scale": "log", "count": 100}, "dropout": {"min": 0, "max": 0.9, "count": 100}}, "fixed": {"layers": 1, "steps": 10}}""");
        await Database.ExecuteAsync(
            """
            UPDATE experiments SET status = 'completed', accuracy = (number % 997) / 1000.0, loss = 'NaN', weights_blob = repeat('a', 64), finished_at = now() WHERE study_id = $1
            """,
            study);

        var html = await HtmlAsync(study);
        var watch = Stopwatch.StartNew();
        var json = await Client.GetStringAsync($"/api/studies/{study}/report?format=json");
        for (var round = 0; round < 4; round++)
        {
            TestContext.Out.WriteLine($"{watch.ElapsedMilliseconds} ms; html {html.Length / 1024} KiB, json {json.Length / 1024} KiB");
            watch.Restart();
            await HtmlAsync(study);
        }

        var csv = await Client.GetStringAsync($"/api/studies/{study}/report?format=csv");

        Assert.Multiple(() =>
        {
            Assert.That(html.Length, Is.LessThan(2_000_000));
            Assert.That(json.Length, Is.LessThan(2_000_000));
            Assert.That(Regex.Count(html, "<td class=\"words\">"), Is.EqualTo(1000));
            Assert.That(html, Does.Contain("9,000 more are in the CSV file").And.Contain("100 values, 0.0001 to 0.1"));
            Assert.That(csv.Split("\r\n", StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(10_001));
        });
    }

    [Test]
    public async Task Report_OfNamesThatAreMarkup_ShowsThemAsText()
    {
        var (model, study, experiments) = await GenerateAsync("""{"name": "NAME", "space": {"steps": [10, 20]}, "fixed": {"learningRate": 0.01, "layers": 1}}""");
        await Database.CompleteAsync(experiments[0], 0.9);
        await AddPointsAsync(experiments[0], 1);
        await Database.ExecuteAsync("UPDATE experiments SET status = 'failed', error = $2 WHERE id = $1", experiments[1], Attack);
        await Database.ExecuteAsync("UPDATE experiments SET name = $2, tags = ARRAY[$2] WHERE study_id = $1", study, Attack);
        await Database.ExecuteAsync("UPDATE studies SET name = $2, stopped_at = now(), stop_reason = $2 WHERE id = $1", study, Attack);
        await Database.ExecuteAsync("UPDATE models SET name = $2, tags = ARRAY[$2], notes = $2 WHERE id = $1", model, Attack);
        await Database.ExecuteAsync("UPDATE data_set_versions SET classes = ARRAY[$2, 'b'] WHERE model_id = $1", model, Attack);
        await Database.ExecuteAsync(
            "INSERT INTO attempts (id, trajectory_id, fence, worker_id, worker_name, from_step, started_at) SELECT gen_random_uuid(), trajectory_id, 1, gen_random_uuid(), $2, 0, now() FROM experiments WHERE id = $1",
            experiments[0], Attack);

        var html = await HtmlAsync(study);

        Assert.That(html, Does.Not.Contain("<script").IgnoreCase);
        Assert.That(Regex.Count(html, Regex.Escape("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;")), Is.GreaterThanOrEqualTo(10));
        Assert.That(Command().Match(html).Value, Does.Contain(@"\u003Cscript\u003E").And.Not.Contain("&#x27;&amp;"), "a name that would end the shell's quotes");
    }

    [Test]
    public async Task Answer_OfEachFormat_NamesItsFile_AndTheDocumentForbidsAllButItsStyle()
    {
        var (_, study, _) = await GenerateAsync("""{"name": "Größe: 1/2 \"x\"", "space": {"steps": [10]}, "fixed": {"learningRate": 0.01, "layers": 1}}""");
        foreach (var (format, mediaType) in new[] { ("html", "text/html"), ("json", "application/json"), ("csv", "text/csv") })
        {
            using var shown = await Client.GetAsync($"/api/studies/{study}/report?format={format}");
            using var saved = await Client.GetAsync($"/api/studies/{study}/report?format={format}&download=true");
            Assert.That(shown.Content.Headers.ContentType!.MediaType, Is.EqualTo(mediaType));
            Assert.That(shown.Content.Headers.ContentDisposition!.DispositionType, Is.EqualTo("inline"));
            Assert.That(shown.Content.Headers.ContentDisposition.FileNameStar, Is.EqualTo($"study-größe-1-2-x.{format}"));
            Assert.That(saved.Content.Headers.ContentDisposition!.DispositionType, Is.EqualTo("attachment"));
            Assert.That(shown.Headers.CacheControl!.NoStore);
        }

        using var answer = await Client.GetAsync($"/api/studies/{study}/report");
        var html = await answer.Content.ReadAsStringAsync();
        var style = Regex.Match(html, "<style>(.*?)</style>", RegexOptions.Singleline).Groups[1].Value;
        var hash = Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(style)));
        Assert.That(answer.Headers.GetValues("Content-Security-Policy"), Is.EqualTo(new[] { $"default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" }));
        Assert.That(Regex.IsMatch(html, "(src|href)=\"(?!data:)|style=|url\\(|@import"), Is.False, "nothing from elsewhere, no inline style");
    }

    [Test]
    public async Task Command_ToGenerateAgain_AsksForWhatExists()
    {
        var (_, study, experiments) = await GenerateAsync(
            """{"name": "it's", "replicates": 2, "space": {"learningRate": {"min": 0.001, "max": 0.1, "scale": "log", "count": 3}}, "fixed": {"layers": 1, "steps": 10}, "limits": {"running": 1}}""");
        var data = await JsonAsync(await Client.GetAsync($"/api/studies/{study}/report?format=json"));

        var command = data.GetProperty("commands").GetProperty("generate").GetString()!;
        var parts = Regex.Match(command, "^curl -s '([^']*)' \\\\\n  -H 'Content-Type: application/json' -d '([^']*)'$");
        Assert.That(parts.Success, command);
        var again = await JsonAsync(await PostRawAsync(parts.Groups[1].Value, parts.Groups[2].Value));

        Assert.That(again.GetProperty("experiments").GetArrayLength(), Is.Zero);
        Assert.That(again.GetProperty("existing").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid()), Is.EquivalentTo(experiments));
        Assert.That(JsonDocument.Parse(parts.Groups[2].Value).RootElement.GetProperty("name").GetString(), Is.EqualTo("it's"));
    }

    [Test]
    public async Task Report_OfAnUnknownFormatOrStudy_IsRefused()
    {
        var (_, study, _) = await GenerateAsync("""{"space": {"steps": [10]}, "fixed": {"learningRate": 0.01, "layers": 1}}""");

        await InvalidAsync(await Client.GetAsync($"/api/studies/{study}/report?format=pdf"), "format");
        foreach (var format in new[] { "html", "json", "csv" })
            await ProblemAsync(await Client.GetAsync($"/api/studies/{Guid.NewGuid()}/report?format={format}"), HttpStatusCode.NotFound);
    }

    private async Task<(Guid Model, Guid Study, List<Guid> Experiments)> GenerateAsync(string body)
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", body));
        return (model, study.GetProperty("id").GetGuid(), [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())]);
    }

    /// <summary>A curve with one point beyond its steps, and one that is no number.</summary>
    private Task<int> AddPointsAsync(Guid experiment, int steps) => Database.ExecuteAsync(
        """
        INSERT INTO metric_points (trajectory_id, name, step, value)
        SELECT trajectory_id, 'validationAccuracy', step, CASE step WHEN 0 THEN 'NaN' ELSE step / 200.0 END
        FROM experiments, generate_series(0, $2::int) AS step WHERE id = $1
        UNION ALL SELECT trajectory_id, 'validationAccuracy', total_steps + 1, 0.99 FROM experiments WHERE id = $1
        """,
        experiment, steps);

    private async Task<string> HtmlAsync(Guid study)
    {
        using var response = await Client.GetAsync($"/api/studies/{study}/report");
        var html = await response.Content.ReadAsStringAsync();
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), html);
        return html;
    }

    [GeneratedRegex("<pre>curl.*?</pre>", RegexOptions.Singleline)]
    private static partial Regex Command();
}
