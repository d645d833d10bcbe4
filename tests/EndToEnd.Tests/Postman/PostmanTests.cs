namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>The Postman collection, as its users run it, and the OpenAPI document that its calls are held against.</summary>
[TestFixture]
public sealed class PostmanTests
{
    /// <summary>Prism takes a form's field for one text, never for the list of files that the document says.</summary>
    private static readonly Violation[] FilesOfAForm =
    [
        new("request.body.files", "Request body property files must be array"), new("request.body.image", "Request body property image must be array"),
    ];

    [Test]
    public async Task Collection_RunTwice_PassesAndKeepsTheContract()
    {
        var before = await Walks.CountModelsAsync();
        var fresh = await NewmanRun.RunAsync(Walks.Api);
        Assert.That(fresh.Failures, Is.Empty);

        await using var relay = await ContractRelay.StartAsync(Walks.Api, await DocumentAsync());
        var again = await NewmanRun.RunAsync(relay.Address);
        await TestContext.Progress.WriteLineAsync(
            $"Postman: {fresh.Requests} and {again.Requests} requests, {fresh.Assertions} and {again.Assertions} assertions; Prism saw {relay.Seen.Count} exchanges");

        Assert.Multiple(async () =>
        {
            Assert.That(again.Failures, Is.Empty);
            Assert.That(relay.Seen, Has.Count.EqualTo(again.Requests));
            Assert.That(relay.Seen.SelectMany(Breaches), Is.Empty);
            // What the walk gets wrong on purpose shows that Prism looks.
            Assert.That(relay.Seen.Count(exchange => exchange.Found.Count > 0), Is.GreaterThan(30));
            Assert.That(await Walks.CountModelsAsync(), Is.EqualTo(before));
        });
    }

    [Test]
    public async Task Document_Linted_LeavesNothingToMend()
    {
        await using var spectral = NodeTools.Start(
            "@stoplight/spectral-cli/dist/index.js", "lint", await DocumentAsync(), "--ruleset", Path.Combine(NodeTools.Folder, ".spectral.yaml"), "--fail-severity", "hint");

        Assert.That(await spectral.WaitAsync(TimeSpan.FromMinutes(1)), Is.Zero, spectral.Output);
        Assert.That(spectral.Output, Does.Contain("No results"));
    }

    /// <summary>What the service takes must be as the document says, and what it answers, always.</summary>
    private static IEnumerable<string> Breaches(Exchange exchange) => exchange.Found
        .Where(violation => !violation.IsOfRequest || (exchange.Answer!.Status < 400 && !FilesOfAForm.Contains(violation)))
        .Select(violation => $"{exchange} ({exchange.Answer!.Status}): {violation.Location}: {violation.Message}");

    private static async Task<string> DocumentAsync()
    {
        var path = Path.Combine(Walks.Digits, "openapi.json");
        await File.WriteAllTextAsync(path, await Walks.Stack.Http.GetStringAsync("/swagger/v1/swagger.json"));
        return path;
    }
}
