using System.Net;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Analysis;

public sealed class AnalysisTests : ApiFixture
{
    private Guid _model;
    private Guid _study;
    private List<Guid> _experiments = null!;

    /// <summary>
    /// Learning rate 0.1, 0.2, 0.4 x layers 1, 2, by two seeds: 12, whose accuracy is 0.1 for each layer, and 0.01 for the second seed. One more waits.
    /// </summary>
    [OneTimeSetUp]
    public async Task GenerateAsync()
    {
        _model = await Database.ModelAsync();
        var study = await GenerateAsync(_model, """{"replicates": 2, "space": {"learningRate": [0.1, 0.2, 0.4], "layers": [1, 2], "steps": [10]}}""");
        _study = study.GetProperty("id").GetGuid();
        _experiments = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
        foreach (var experiment in study.GetProperty("experiments").EnumerateArray())
        {
            var parameters = experiment.GetProperty("parameters");
            await Database.CompleteAsync(
                experiment.GetProperty("id").GetGuid(),
                (parameters.GetProperty("layers").GetInt32() * 0.1) + (parameters.GetProperty("seed").GetInt32() * 0.01),
                loss: parameters.GetProperty("learningRate").GetDouble() == 0.4 ? double.PositiveInfinity : parameters.GetProperty("learningRate").GetDouble());
        }

        await GenerateAsync(_model, """{"space": {"learningRate": [0.1], "layers": [8], "steps": [10]}}""");
    }

    [Test]
    public async Task Points_OfAccuracy_AreColumns_BestFirst()
    {
        var points = await GetAsync($"/api/models/{_model}/experiments/points");

        Assert.That((Number(points, "count"), Number(points, "unmeasured"), Number(points, "shown"), Number(points, "dataSetVersions")), Is.EqualTo((12, 1, 12, 1)));
        Assert.That(points.GetProperty("direction").GetString(), Is.EqualTo("maximize"));
        var values = Numbers(points.GetProperty("values"));
        Assert.That(values, Is.Ordered.Descending);
        Assert.That(values[0], Is.EqualTo(0.21).Within(1e-9));
        Assert.That(points.GetProperty("ids").EnumerateArray().Select(each => each.GetGuid()), Is.EquivalentTo(_experiments));
        Assert.That(points.GetProperty("parameters").EnumerateArray().Select(each => each.GetProperty("name").GetString()), Is.EquivalentTo(new[] { "learningRate", "layers", "seed" }));
        var layers = points.GetProperty("parameters").EnumerateArray().Single(each => each.GetProperty("name").GetString() == "layers");
        Assert.That(Numbers(layers.GetProperty("numbers")), Is.EqualTo(new[] { 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1 }));
        Assert.That(layers.GetProperty("words").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public async Task Points_OfLoss_LeaveOutWhatIsNotFinite_AndMeetTheFilters()
    {
        var points = await GetAsync($"/api/models/{_model}/experiments/points?metric=loss&studyId={_study}&filter={Uri.EscapeDataString("layers = 2")}");

        Assert.That((Number(points, "count"), Number(points, "unmeasured")), Is.EqualTo((4, 2)));
        Assert.That(points.GetProperty("direction").GetString(), Is.EqualTo("minimize"));
        Assert.That(Numbers(points.GetProperty("values")), Is.EqualTo(new[] { 0.1, 0.1, 0.2, 0.2 }));
    }

    [Test]
    public async Task Points_BeyondTheLimit_AreTheBestAndASampleThatStaysTheSame()
    {
        var model = await Database.ModelAsync();
        await GenerateAsync(model, """{"space": {"learningRate": {"min": 0.001, "max": 1, "count": 150}, "layers": [1, 2], "steps": [10]}}""");
        await CompleteAllAsync(model);

        var first = await GetAsync($"/api/models/{model}/experiments/points?limit=120");
        var second = await GetAsync($"/api/models/{model}/experiments/points?limit=120");
        var few = await GetAsync($"/api/models/{model}/experiments/points?limit=3");

        Assert.That((Number(first, "count"), Number(first, "shown")), Is.EqualTo((300, 120)));
        var numbers = Numbers(first.GetProperty("numbers"));
        Assert.That(numbers.Take(100), Is.EqualTo(Enumerable.Range(201, 100).Reverse()), "the best hundred");
        Assert.That(numbers, Is.Unique.And.Ordered.Descending.And.Length.EqualTo(120));
        Assert.That(Numbers(second.GetProperty("numbers")), Is.EqualTo(numbers));
        Assert.That(Numbers(few.GetProperty("numbers")), Is.EqualTo(new[] { 300, 299, 298 }));
    }

    [Test]
    public async Task Points_OfAModelWithoutExperiments_AreNone()
    {
        var points = await GetAsync($"/api/models/{await Database.ModelAsync()}/experiments/points");

        Assert.That((Number(points, "count"), points.GetProperty("parameters").GetArrayLength()), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task Importance_OfAGridWithSeeds_IsExact_AndTakesSeedsForChance()
    {
        var importance = await GetAsync($"/api/models/{_model}/importance?studyId={_study}");

        Assert.That(importance.GetProperty("method").GetString(), Is.EqualTo("grid"));
        Assert.That((Number(importance, "count"), Number(importance, "used")), Is.EqualTo((12, 12)));
        Assert.That(
            importance.GetProperty("parameters").EnumerateArray().Select(each => (each.GetProperty("name").GetString(), each.GetProperty("share").GetDouble(), each.GetProperty("values").GetInt32())),
            Is.EqualTo(new[] { ("layers", 1.0, 2), ("learningRate", 0.0, 3) }));
        // Seeds vary by 0.005 around the mean, layers by 0.05.
        Assert.That(importance.GetProperty("explained").GetDouble(), Is.EqualTo(0.9901).Within(1e-4));
        Assert.That(importance.GetProperty("reason").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public async Task Importance_OfExperimentsThatWereAdjusted_LeavesThemOut()
    {
        var model = await Database.ModelAsync();
        await GenerateAsync(model, """{"space": {"learningRate": [0.1, 0.2], "layers": [1, 2], "steps": [10]}}""");
        await CompleteAllAsync(model);
        await Database.ExecuteAsync(
            """UPDATE experiments SET parameters = parameters || '{"learningRateChanges": [{"step": 5, "learningRate": 0.01}]}' WHERE model_id = $1 AND number = 1""", model);

        var importance = await GetAsync($"/api/models/{model}/importance");

        Assert.That((Number(importance, "count"), Number(importance, "used")), Is.EqualTo((3, 3)));
        Assert.That(importance.GetProperty("parameters").GetArrayLength(), Is.Zero);
        Assert.That(importance.GetProperty("reason").GetString(), Does.Contain("it takes 4 at least"));
    }

    [TestCase("experiments/points?metric=colour", "metric")]
    [TestCase("experiments/points?limit=5001", "limit")]
    [TestCase("experiments/points?filter=layers>", "filter")]
    [TestCase("experiments/points?search=%00", "search")]
    [TestCase("importance?metric=", "metric")]
    [TestCase("importance?filter=%00", "filter")]
    [TestCase("importance?status=finished", "status")]
    [TestCase("importance?studyId=7", "studyId")]
    public async Task Analysis_OfWhatIsWrong_NamesTheField(string path, string field) => await InvalidAsync(await Client.GetAsync($"/api/models/{_model}/{path}"), field);

    [TestCase("experiments/points")]
    [TestCase("importance")]
    public async Task Analysis_OfNoModel_IsNotFound(string path) =>
        await ProblemAsync(await Client.GetAsync($"/api/models/{Guid.NewGuid()}/{path}"), HttpStatusCode.NotFound);

    private async Task<JsonElement> GenerateAsync(Guid model, string body)
    {
        var response = await PostRawAsync($"/api/models/{model}/experiments", body);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Created), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    /// <summary>With a thousandth of its number as each one's accuracy.</summary>
    private Task<int> CompleteAllAsync(Guid model) => Database.ExecuteAsync(
        """
        UPDATE experiments SET status = 'completed', accuracy = number / 1000.0, loss = 0.1, mean_squared_error = 0.01, weights_blob = repeat('a', 64), weights_hash = repeat('a', 64),
               duration_seconds = 1, saved_seconds = 0, worker = 'worker-1', started_at = now(), finished_at = now()
        WHERE model_id = $1
        """,
        model);

    private async Task<JsonElement> GetAsync(string path)
    {
        var response = await Client.GetAsync(path);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return await JsonAsync(response);
    }

    private static int Number(JsonElement element, string name) => element.GetProperty(name).GetInt32();

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(each => each.GetDouble())];
}
