using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>The main job on digits that are drawn here: quick, and on every machine.</summary>
[TestFixture]
public sealed class MainJobTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly object SmallNetwork = new { filters = 4, denseUnits = 16 };

    private Stack _stack = null!;

    [OneTimeSetUp]
    public async Task OneTimeSetUp() => _stack = await Stack.StartAsync();

    [OneTimeTearDown]
    public async Task OneTimeTearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task Grid_UploadedTrainedRankedAndPredicted()
    {
        var modelId = await _stack.CreateModelAsync("Drawn digits");
        var uploaded = await _stack.UploadAsync(modelId, DrawnDigits.Zip(perDigit: 60));
        Assert.That(uploaded.GetProperty("accepted").GetInt32(), Is.EqualTo(600));

        object grid = new
        {
            name = "grid",
            space = new { learningRate = new[] { 0.001, 0.003, 0.01 }, layers = new[] { 1, 2, 3 }, steps = new[] { 50, 100, 200 } },
            @fixed = SmallNetwork,
        };
        var study = await _stack.PostAsync($"/api/models/{modelId}/experiments", grid);
        Assert.That(study.GetProperty("experiments").GetArrayLength(), Is.EqualTo(27));
        var experiments = await _stack.WhenAllCompletedAsync(modelId, Patience);
        var best = await _stack.GetAsync($"/api/models/{modelId}/best");
        var again = await _stack.PostAsync($"/api/models/{modelId}/experiments", grid);

        var accuracies = experiments.Select(experiment => experiment.GetProperty("accuracy").GetDouble()).ToList();
        Assert.Multiple(async () =>
        {
            Assert.That(experiments.Select(experiment => experiment.GetProperty("status").GetString()), Is.All.EqualTo("completed"));
            Assert.That(await _stack.CountAsync($"SELECT count(*) FROM trajectories WHERE model_id = '{modelId}'"), Is.EqualTo(9));
            Assert.That(best.GetProperty("accuracy").GetDouble(), Is.EqualTo(accuracies.Max()));
            Assert.That(accuracies.Max(), Is.GreaterThan(0.8));
            Assert.That(experiments.Sum(experiment => experiment.GetProperty("savedSeconds").GetDouble()), Is.GreaterThan(0));
            Assert.That(again.GetProperty("experiments").GetArrayLength(), Is.Zero);
            Assert.That(again.GetProperty("existing").GetArrayLength(), Is.EqualTo(27));
        });

        var right = 0;
        for (var digit = 0; digit < 10; digit++)
        {
            var prediction = await _stack.PredictAsync(modelId, DigitPainter.PaintPng(digit, variant: 5000 + digit));
            Assert.That(prediction.GetProperty("probabilities").EnumerateArray().Sum(entry => entry.GetProperty("probability").GetDouble()), Is.EqualTo(1).Within(1e-3));
            Assert.That(prediction.GetProperty("experimentId").GetString(), Is.EqualTo(best.GetProperty("experimentId").GetString()));
            if (prediction.GetProperty("label").GetString() == $"{digit}")
                right++;
        }

        Assert.That(right, Is.GreaterThanOrEqualTo(7));
    }

    [Test, Category("Alone")]
    public async Task Post_ToTheFirstStep_TakesAMoment()
    {
        var modelId = await _stack.CreateModelAsync("First steps");
        await _stack.UploadAsync(modelId, DrawnDigits.Zip(perDigit: 30));
        List<double> seconds = [];
        for (var round = 0; round < 7; round++)
        {
            var asked = TimeProvider.System.GetUtcNow();
            await _stack.PostAsync(
                $"/api/models/{modelId}/experiments",
                new { space = new { learningRate = new[] { 0.001 + (round * 0.0001) }, layers = new[] { 1 }, steps = new[] { 20 } }, @fixed = SmallNetwork });
            var experiments = await _stack.WhenAllCompletedAsync(modelId, Patience);
            var newest = experiments.MaxBy(experiment => experiment.GetProperty("number").GetInt32());
            seconds.Add((newest.GetProperty("startedAt").GetDateTimeOffset() - asked).TotalSeconds);
        }

        seconds.Sort();
        await TestContext.Progress.WriteLineAsync(
            $"From POST to the first training step: median {seconds[3]:0.000} s, {seconds[0]:0.000} to {seconds[^1]:0.000} s");
        // The aim is a median of 0.2 s on a quiet machine. The quickest shows on a busy one, too, that workers are told.
        Assert.That(seconds[0], Is.LessThan(0.2));
        Assert.That(seconds[3], Is.LessThan(0.3));
    }

    [Test]
    public async Task Drafts_WaitUntilTheyAreAskedFor()
    {
        var modelId = await _stack.CreateModelAsync("Drafts");
        await _stack.UploadAsync(modelId, DrawnDigits.Zip(perDigit: 20));
        await _stack.PostAsync(
            $"/api/models/{modelId}/experiments",
            new { space = new { learningRate = new[] { 0.003 }, layers = new[] { 1 }, steps = new[] { 20, 40 } }, @fixed = SmallNetwork, start = false });
        var drafts = await _stack.ExperimentsAsync(modelId);
        Assert.That(drafts.Select(experiment => experiment.GetProperty("status").GetString()), Is.All.EqualTo("draft"));

        await _stack.PostAsync($"/api/models/{modelId}/train");
        var experiments = await _stack.WhenAllCompletedAsync(modelId, Patience);
        Assert.That(experiments.Select(experiment => experiment.GetProperty("status").GetString()), Is.All.EqualTo("completed"));
    }
}
