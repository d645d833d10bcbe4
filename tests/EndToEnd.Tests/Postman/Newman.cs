using System.Text.Json;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>A run of the collection without Postman.</summary>
internal sealed record NewmanRun(int Requests, int Assertions, IReadOnlyList<string> Failures)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    public static async Task<NewmanRun> RunAsync(Uri service)
    {
        var report = Path.Combine(Walks.Digits, $"report-{Guid.NewGuid():N}.json");
        await using var newman = NodeTools.Start(
            "newman/bin/newman.js",
            "run", Path.Combine(NodeTools.Folder, "ml-experiments.postman_collection.json"),
            "--environment", Path.Combine(NodeTools.Folder, "local.postman_environment.json"),
            "--env-var", $"baseUrl={service.GetLeftPart(UriPartial.Authority)}",
            "--working-dir", Walks.Digits,
            "--color", "off",
            "--reporters", "cli,json",
            "--reporter-json-export", report);
        await newman.WaitAsync(Patience);
        Assert.That(report, Does.Exist, newman.Output);
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(report));
        var run = json.RootElement.GetProperty("run");
        return new NewmanRun(
            run.GetProperty("stats").GetProperty("requests").GetProperty("total").GetInt32(),
            run.GetProperty("stats").GetProperty("assertions").GetProperty("total").GetInt32(),
            [.. run.GetProperty("failures").EnumerateArray().Select(failure =>
                $"{failure.GetProperty("source").GetProperty("name")}: {failure.GetProperty("error").GetProperty("message")}")]);
    }
}
