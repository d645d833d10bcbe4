using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed partial class OpenApiTests : ApiFixture
{
    private JsonElement _document;

    [OneTimeSetUp]
    public async Task ReadAsync()
    {
        var response = await Client.GetAsync("/swagger/v1/swagger.json");
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        _document = await JsonAsync(response);
    }

    [Test]
    public void Operations_All_AreDescribedWithExamplesAndErrors()
    {
        Assert.Multiple(() =>
        {
            foreach (var (name, operation) in Operations())
            {
                Assert.That(operation.TryGetProperty("summary", out _), name);
                Assert.That(operation.TryGetProperty("operationId", out _), name);
                Assert.That(operation.GetProperty("tags").GetArrayLength(), Is.EqualTo(1), name);
                if (operation.TryGetProperty("requestBody", out var body) && body.GetProperty("content").TryGetProperty("application/json", out var json))
                    Assert.That(json.TryGetProperty("example", out _), $"{name}: an example of the request");
                foreach (var response in operation.GetProperty("responses").EnumerateObject())
                {
                    if (!response.Value.TryGetProperty("content", out var content))
                        continue;
                    if (response.Name is "200" or "201" && content.TryGetProperty("application/json", out var success))
                        Assert.That(success.TryGetProperty("example", out _), $"{name}: an example of {response.Name}");
                    if (response.Name[0] is '4' or '5' && !name.Contains("/health/", StringComparison.Ordinal))
                        Assert.That(content.EnumerateObject().Select(media => media.Name), Is.EqualTo(new[] { "application/problem+json" }), $"{name} {response.Name}");
                }

                Assert.That(Statuses(operation), Has.Some.StartsWith("2"), name);
                if (name.Contains("/api/", StringComparison.Ordinal))
                    Assert.That(Statuses(operation), Does.Contain("401").And.Contain("503"), name);
                if (name.Contains('{', StringComparison.Ordinal))
                    Assert.That(Statuses(operation), Does.Contain("404"), name);
                foreach (var parameter in operation.TryGetProperty("parameters", out var parameters) ? parameters.EnumerateArray() : default)
                    Assert.That(parameter.TryGetProperty("description", out _), $"{name}: what {parameter.GetProperty("name")} is");
            }
        });
    }

    [Test]
    public void OperationIds_All_AreTheHandlersNames() => Assert.That(
        Operations().Select(operation => operation.Operation.GetProperty("operationId").GetString()),
        Is.Unique.And.SupersetOf(new[] { "CreateModel", "GenerateExperiments", "ListExperiments", "GetBest", "Predict", "GetReady" }));

    [Test]
    public async Task RequestExamples_SentAsTheyStand_Work()
    {
        foreach (var (name, operation) in Operations())
        {
            if (!operation.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json))
                continue;
            var (method, path) = (name.Split(' ')[0], name.Split(' ')[1]);
            if (path.StartsWith("/api/models", StringComparison.Ordinal))
                path = ModelId().Replace(path, "/api/models/" + await Database.ModelAsync());
            using var request = new HttpRequestMessage(new HttpMethod(method), path)
            {
                Content = new StringContent(json.GetProperty("example").GetRawText(), System.Text.Encoding.UTF8, "application/json"),
            };
            var response = await Client.SendAsync(request);

            Assert.That(response.IsSuccessStatusCode, $"{name}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    [Test]
    public async Task Page_Opened_IsSwaggerUi()
    {
        var response = await Client.GetAsync("/swagger/index.html");

        Assert.That(await response.Content.ReadAsStringAsync(), Does.Contain("swagger-ui"));
    }

    private IEnumerable<(string Name, JsonElement Operation)> Operations() =>
        from path in _document.GetProperty("paths").EnumerateObject()
        from operation in path.Value.EnumerateObject()
        select ($"{operation.Name.ToUpperInvariant()} {path.Name}", operation.Value);

    private static IEnumerable<string> Statuses(JsonElement operation) => operation.GetProperty("responses").EnumerateObject().Select(response => response.Name);

    [GeneratedRegex(@"/api/models/\{id\}")]
    private static partial Regex ModelId();
}
