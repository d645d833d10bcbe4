using System.Net;
using CsvHelper;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>Lists as files, read back as a spreadsheet would.</summary>
public sealed class ExperimentsCsvTests : ApiFixture
{
    [Test]
    public async Task Csv_OfMoreThanAPage_HasEachOnceInOrder_WithItsResultsAndParameters()
    {
        var model = await Database.ModelAsync();
        await PostRawAsync($"/api/models/{model}/experiments", """{"space": {"seed": {"min": 1, "max": 1100, "step": 1}}, "fixed": {"learningRate": 0.001, "layers": 2, "steps": 10}}""");
        var first = await Database.ScalarAsync<Guid>("SELECT id FROM experiments WHERE model_id = $1 AND number = 7", model);
        await Database.CompleteAsync(first, 0.975);
        await Database.ExecuteAsync("UPDATE experiments SET name = $2 WHERE id = $1", first, "=HYPERLINK(\"evil\"), \"quoted\"\nand more");

        var rows = await ReadAsync($"/api/models/{model}/experiments.csv?sort=accuracy&order=desc&filter=seed<=1050");

        Assert.That(rows, Has.Count.EqualTo(1050));
        Assert.That(rows.Select(row => row["number"]).Skip(1), Is.EqualTo(Enumerable.Range(1, 1050).Except([7]).Select(number => $"{number}")));
        Assert.Multiple(() =>
        {
            Assert.That(rows[0]["id"], Is.EqualTo($"{first}"));
            Assert.That(rows[0]["name"], Is.EqualTo("'=HYPERLINK(\"evil\"), \"quoted\"\nand more"));
            Assert.That((rows[0]["status"], rows[0]["accuracy"], rows[0]["learningRate"], rows[0]["seed"]), Is.EqualTo(("completed", "0.975", "0.001", "7")));
            Assert.That(rows[0]["finishedAt"], Does.EndWith("Z"));
            Assert.That((rows[1]["accuracy"], rows[1]["worker"]), Is.EqualTo(("", "")));
        });
    }

    [Test]
    public async Task Csv_OfNothing_HasItsHeader_AndOfNoModelIsNotFound()
    {
        var model = await Database.ModelAsync();
        var answer = await Client.GetAsync($"/api/models/{model}/experiments.csv");

        Assert.That(answer.Content.Headers.ContentType!.MediaType, Is.EqualTo("text/csv"));
        Assert.That(answer.Content.Headers.ContentDisposition!.FileName, Is.EqualTo("experiments.csv"));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.That(text.Split(','), Does.Contain("accuracy").And.Contain("learningRate"));
        Assert.That(text.IndexOf('\r', StringComparison.Ordinal), Is.EqualTo(text.Length - 2), "one line, which ends in CR LF");
        await ProblemAsync(await Client.GetAsync($"/api/models/{Guid.NewGuid()}/experiments.csv"), HttpStatusCode.NotFound);
    }

    private async Task<List<CsvDynamicRecord>> ReadAsync(string path)
    {
        await using var csv = CsvReader.Create(await Client.GetStreamAsync(path));
        var rows = new List<CsvDynamicRecord>();
        await foreach (var row in csv.GetRecordsAsync<CsvDynamicRecord>())
            rows.Add(row);
        return rows;
    }
}
