using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Blobs;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>Makes every call of the table, well and wrong, and keeps the copy of it in the Api's README.</summary>
public sealed class EndpointTests : ApiFixture
{
    private const string UpdateVariable = "MLEXPERIMENTS_UPDATE_README";

    private Things _things = null!;
    private JsonElement _document;

    [OneTimeSetUp]
    public async Task MakeThingsAsync()
    {
        _things = await Things.MakeAsync(Client, Database, Services.GetRequiredService<IBlobStore>());
        _document = await JsonAsync(await Client.GetAsync("/swagger/v1/swagger.json"));
    }

    [Test]
    public async Task Call_MadeWellAndWrong_IsAnsweredAsTheTableSays([ValueSource(typeof(Calls), nameof(Calls.All))] object row)
    {
        var call = (Call)row;
        var operation = Operation(call);
        Assert.That(call.Goods, Is.Not.Empty);
        foreach (var made in call.Goods.Concat(call.Bads).Concat(CommonCases.Of(call, operation)))
        {
            using var response = await SendAsync(call, made);
            // A stream of events has no end.
            var answer = response.Content.Headers.ContentType?.MediaType == "text/event-stream" ? "" : await response.Content.ReadAsStringAsync();
            var what = $"{call}: {made.Words} {made.Fields}: {answer}";
            Assert.That((int)response.StatusCode, Is.EqualTo(made.Status), what);
            Assert.That(operation.GetProperty("responses").TryGetProperty($"{made.Status}", out _), $"{what}: the OpenAPI document lacks {made.Status}");
            if (made.Fields.Length > 0)
                await InvalidAsync(response, made.Fields.Split(", "));
            else if (made.Status >= 400)
                await ProblemAsync(response, (HttpStatusCode)made.Status);
        }
    }

    [Test]
    public void Table_HasEveryOperation() => Assert.That(
        Calls.All.Select(call => call.Operation),
        Is.EquivalentTo(
            from path in _document.GetProperty("paths").EnumerateObject()
            from operation in path.Value.EnumerateObject()
            select $"{operation.Name.ToUpperInvariant()} {path.Name}"),
        $"Each operation of the OpenAPI document needs a row in {nameof(Calls)}.");

    [Test]
    public async Task Readme_HasTheTable()
    {
        var readme = await File.ReadAllTextAsync(EndpointTable.ReadmePath);
        var table = EndpointTable.Render(Calls.All.Select(call => (call, Operation(call))));
        if (Environment.GetEnvironmentVariable(UpdateVariable) is "1")
        {
            readme = EndpointTable.Replace(readme, table);
            await File.WriteAllTextAsync(EndpointTable.ReadmePath, readme);
        }

        Assert.That(EndpointTable.Read(readme), Is.EqualTo(table), $"Run this test with {UpdateVariable}=1: it then writes the table into Api/README.md.");
    }

    private JsonElement Operation(Call call) => _document.GetProperty("paths").GetProperty(call.Path).GetProperty(call.Method.Method.ToLowerInvariant());

    private async Task<HttpResponseMessage> SendAsync(Call call, Case made)
    {
        var path = call.Path.Replace("{id}", await _things.IdAsync(made.Of), StringComparison.Ordinal);
        using var request = new HttpRequestMessage(call.Method, made.Query.Length == 0 ? path : $"{path}?{made.Query}") { Content = made.Body?.Invoke(_things) };
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
