using System.Net;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class OpenApiTests : ApiFixture
{
    private static readonly JsonElement Null = JsonDocument.Parse("null").RootElement;

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
                    Assert.That(Statuses(operation), Does.Contain("401").And.Contain("403").And.Contain("503"), name);
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
    public void Examples_All_AreWhatTheirSchemasSay()
    {
        Assert.Multiple(() =>
        {
            foreach (var (name, operation) in Operations())
            {
                var contents = operation.GetProperty("responses").EnumerateObject().Select(response => ($"{name} {response.Name}", response.Value)).ToList();
                if (operation.TryGetProperty("requestBody", out var body))
                    contents.Add(($"{name} request", body));
                foreach (var (where, holder) in contents)
                {
                    foreach (var media in holder.TryGetProperty("content", out var content) ? content.EnumerateObject().ToList() : [])
                    {
                        Assert.That(media.Value.TryGetProperty("schema", out var schema), $"{where}: a schema");
                        if (!media.Value.TryGetProperty("example", out var example))
                            continue;
                        Assert.That(Schemas.Find(_document, schema, example, "$"), Is.Null, where);
                        if (example.ValueKind == JsonValueKind.Object && media.Name == "application/problem+json")
                            Assert.That(where, Does.EndWith(example.GetProperty("status").ToString()));
                    }
                }
            }
        });
    }

    // Of parameters that hardly any experiment has.
    private static readonly string[] LeftOut = ["learningRateChanges", "replicate"];

    [Test]
    public void Schemas_OfAnswers_RequireEveryMemberAndNameNoType()
    {
        Assert.That(_document.ToString(), Does.Not.Contain("MlExperiments."));
        Assert.Multiple(() =>
        {
            foreach (var schema in _document.GetProperty("components").GetProperty("schemas").EnumerateObject())
            {
                if (!schema.Value.TryGetProperty("properties", out var properties) || schema.Name.Contains("Problem", StringComparison.Ordinal))
                    continue;
                var required = schema.Value.TryGetProperty("required", out var names) ? names.EnumerateArray().Select(item => item.GetString()).ToList() : [];
                if (!schema.Name.EndsWith("Request", StringComparison.Ordinal) && !schema.Name.EndsWith("Form", StringComparison.Ordinal))
                    Assert.That(required, Is.EquivalentTo(properties.EnumerateObject().Select(property => property.Name).Except(LeftOut)), schema.Name);
            }
        });
        Assert.That(Required("GenerateRequest"), Is.Empty);
        Assert.That(Required("InputSizeRequest"), Is.Empty);
        Assert.That(Required("CreateModelRequest"), Is.EqualTo(new[] { "name" }));
        Assert.That(Required("PredictForm"), Is.EqualTo(new[] { "image" }));
        Assert.That(Required("UploadForm"), Is.EqualTo(new[] { "files" }));
        Assert.That(Required("UpdateModelRequest"), Is.Empty);
        Assert.That(Required("UpdateImagesRequest"), Is.Empty);
        Assert.That(Property("UpdateImageRequest", "split").GetProperty("enum").EnumerateArray().Select(word => word.GetString()), Is.EqualTo(new[] { "train", "validation", "test" }));
        Assert.That(Property("GenerateRequest", "start").GetProperty("default").GetBoolean());
        Assert.That(Property("InputSizeRequest", "width").GetProperty("default").GetInt32(), Is.EqualTo(28));
        Assert.That(Property("ExperimentParameters", "optimizer").GetProperty("enum").ToString(), Is.EqualTo("""["adam","sgd"]""").Or.Contain("sgd"));
        foreach (var (schema, name) in new[] { ("AttemptResponse", "outcome"), ("ImagesSummary", "resolved"), ("CreateModelRequest", "inputSize") })
            Assert.That(Schemas.Find(_document, Property(schema, name), Null, name), Is.Null, "a reference that may be null");
        Assert.That(Schemas.Find(_document, Property("ModelResponse", "inputSize"), Null, "inputSize"), Is.Not.Null);
    }

    [TestCase("/api/models/{id}/experiments", "sort", "finishedAt")]
    [TestCase("/api/models/{id}/experiments", "order", "desc")]
    [TestCase("/api/models/{id}/experiments", "status", "paused")]
    [TestCase("/api/models/{id}/images", "split", "validation")]
    public void Parameters_OfFixedWords_NameThem(string path, string parameter, string word)
    {
        var schema = _document.GetProperty("paths").GetProperty(path).GetProperty("get").GetProperty("parameters").EnumerateArray()
            .Single(candidate => candidate.GetProperty("name").GetString() == parameter).GetProperty("schema");
        if (schema.TryGetProperty("items", out var items))
            schema = items;
        Assert.That(schema.GetProperty("enum").EnumerateArray().Select(item => item.GetString()), Does.Contain(word));
    }

    [TestCase("/api/models")]
    [TestCase("/api/models/{id}/experiments")]
    [TestCase("/api/models/{id}/train")]
    [TestCase("/api/models/{id}/predictions")]
    [TestCase("/api/models/{id}/predictor/rollback")]
    [TestCase("/api/studies/{id}/clone")]
    public void IdempotencyKey_OfACallThatTakesIt_IsDescribedWithItsErrors(string path)
    {
        var operation = _document.GetProperty("paths").GetProperty(path).GetProperty("post");
        var header = operation.GetProperty("parameters").EnumerateArray().Single(parameter => parameter.GetProperty("in").GetString() == "header");

        Assert.That(header.GetProperty("name").GetString(), Is.EqualTo("Idempotency-Key"));
        Assert.That(header.GetProperty("description").GetString(), Does.Contain("24 hours"));
        Assert.That(Statuses(operation), Is.SupersetOf(new[] { "400", "409", "422" }));
    }

    private List<string?> Required(string schema) =>
        Schema(schema).TryGetProperty("required", out var required) ? required.EnumerateArray().Select(name => name.GetString()).ToList() : [];

    private JsonElement Property(string schema, string name) => Schema(schema).GetProperty("properties").GetProperty(name);

    private JsonElement Schema(string name) => _document.GetProperty("components").GetProperty("schemas").GetProperty(name);

    [Test]
    public async Task RequestExamples_SentAsTheyStand_Work()
    {
        foreach (var (name, operation) in Operations())
        {
            if (!operation.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json))
                continue;
            var (method, path) = (name.Split(' ')[0], name.Split(' ')[1]);
            var model = await Database.ModelAsync();
            var example = json.GetProperty("example").GetRawText();
            if (path.StartsWith("/api/studies/", StringComparison.Ordinal) || path.EndsWith("/predictor", StringComparison.Ordinal))
            {
                var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
                var experiment = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
                await Database.CompleteAsync(experiment, 0.9);
                path = path.Replace("/api/studies/{id}", $"/api/studies/{study.GetProperty("id").GetGuid()}", StringComparison.Ordinal);
                example = example.Replace("01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", experiment.ToString(), StringComparison.Ordinal);
            }

            path = path.Replace("/api/models/{id}", $"/api/models/{model}", StringComparison.Ordinal);
            if (path.StartsWith("/api/images/", StringComparison.Ordinal))
                path = path.Replace("{id}", $"{await Database.ScalarAsync<Guid>("SELECT id FROM images WHERE model_id = $1 LIMIT 1", model)}", StringComparison.Ordinal);
            if (path == "/api/experiments/{id}")
            {
                var generated = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
                path = $"/api/experiments/{generated.GetProperty("experiments")[0].GetProperty("id")}";
            }

            using var request = new HttpRequestMessage(new HttpMethod(method), path)
            {
                Content = new StringContent(example, System.Text.Encoding.UTF8, "application/json"),
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
}
