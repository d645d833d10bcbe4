using System.Text.Json;
using MlExperiments.Testing;
using static MlExperiments.EndToEnd.Tests.ExperimentAnswers;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>
/// However a training comes about, at once, in parts or again, its result is the same, bit for bit: with networks of the default size too, which
/// are computed by other kernels than small ones.
/// </summary>
[TestFixture]
public sealed class SameResultTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static readonly TestCaseData[] Networks =
    [
        new TestCaseData(new { learningRate = 0.001, layers = 2 }, new[] { 60, 120 }).SetArgDisplayNames("the default"),
        new TestCaseData(new { learningRate = 0.001, layers = 1 }, new[] { 40 }).SetArgDisplayNames("one layer"),
        new TestCaseData(new { learningRate = 0.001, layers = 2, precision = "bfloat16" }, new[] { 15 }).SetArgDisplayNames("bfloat16"),
        new TestCaseData(new { learningRate = 0.003, layers = 1, filters = 4, denseUnits = 16 }, new[] { 200, 400 }).SetArgDisplayNames("small"),
    ];

    private Stack _stack = null!;

    [OneTimeSetUp]
    public async Task OneTimeSetUp() => _stack = await Stack.StartAsync();

    [OneTimeTearDown]
    public async Task OneTimeTearDown() => await _stack.DisposeAsync();

    [TestCaseSource(nameof(Networks))]
    public async Task Force_TrainsAgain_WithTheSameResult(object network, int[] steps)
    {
        var model = await NewModelAsync();
        var first = await WhenAllAsync(await GenerateAsync(model, new { steps }, network));
        var second = await WhenAllAsync(await GenerateAsync(model, new { steps }, network, force: true));

        Assert.That(second.Select(Hash), Is.EqualTo(first.Select(Hash)));
        Assert.That(second.Select(Accuracy), Is.EqualTo(first.Select(Accuracy)));
        Assert.That(second.SelectMany(Attempts).Select(attempt => attempt.From), Is.All.Zero, "trained from the first step on");
        Assert.That(TrajectoryOf(second[0]), Is.Not.EqualTo(TrajectoryOf(first[0])));
        Assert.That(first.Select(Hash), Is.Unique, "of different steps");
    }

    [Test]
    public async Task Grid_WithAFourthNumberOfStepsLater_TrainsOnlyTheNewPart()
    {
        var model = await NewModelAsync();
        var (learningRate, layers) = (new[] { 0.001, 0.003 }, new[] { 1, 2 });
        var first = await WhenAllAsync(await GenerateAsync(model, new { learningRate, layers, steps = new[] { 20, 40, 60 } }));
        var wider = await GenerateAsync(model, new { learningRate, layers, steps = new[] { 20, 40, 60, 80 } });
        var added = await WhenAllAsync(wider);
        var whole = await WhenAllAsync(await GenerateAsync(model, new { learningRate, layers, steps = new[] { 80 } }, force: true));

        Assert.Multiple(() =>
        {
            Assert.That(first, Has.Count.EqualTo(12));
            Assert.That(wider.GetProperty("existing").EnumerateArray().Select(Id), Is.EquivalentTo(first.Select(Id)));
            Assert.That(added, Has.Count.EqualTo(4));
            Assert.That(added.Select(Attempts), Is.All.EqualTo(new (int, int?)[] { (60, 80), (0, 60) }));
            Assert.That(whole.Select(Attempts), Is.All.EqualTo(new (int, int?)[] { (0, 80) }));
            // Both in the order of the space.
            Assert.That(added.Select(Hash), Is.EqualTo(whole.Select(Hash)).And.Unique);
            Assert.That(added.Select(Accuracy), Is.EqualTo(whole.Select(Accuracy)));
        });
    }

    [Test]
    public async Task Patience_PausedOnTheWay_RunsOutAtTheSameStep_AndThereForALongerExperimentToo()
    {
        var network = new { learningRate = 0.003, layers = 1, patience = 6 };
        var (undisturbedModel, model) = (await NewModelAsync(), await NewModelAsync());
        var undisturbed = await GenerateAsync(undisturbedModel, new { steps = new[] { 20_000 } }, network);
        var id = Id((await GenerateAsync(model, new { steps = new[] { 20_000 } }, network)).GetProperty("experiments")[0]);
        await WhenAsync(id, experiment => Step(experiment) > 100);
        await _stack.PostAsync($"/api/experiments/{id}/pause");
        var paused = await WhenAsync(id, experiment => Attempts(experiment)[0].To is not null);
        var pausedAt = Attempts(paused)[0].To;
        await _stack.PostAsync($"/api/experiments/{id}/resume");
        var resumed = await WhenAsync(id, HasEnded);
        var expected = (await WhenAllAsync(undisturbed)).Single();
        await TestContext.Out.WriteLineAsync($"Paused at step {pausedAt}, stopped early at {Step(resumed)}");

        Assert.That(Status(paused), Is.EqualTo("paused"));
        Assert.That(pausedAt, Is.GreaterThan(0).And.LessThan(Step(expected)));
        Assert.That(Step(expected), Is.LessThan(20_000));
        AssertEndsLike(expected, resumed);
        Assert.That(Attempts(resumed), Is.EqualTo(new (int, int?)[] { (pausedAt!.Value, Step(expected)), (0, pausedAt) }));

        var longer = (await WhenAllAsync(await GenerateAsync(model, new { steps = new[] { 40_000 } }, network))).Single();
        AssertEndsLike(expected, longer);
        Assert.That(Attempts(longer)[0], Is.EqualTo((Step(expected), (int?)Step(expected))), "nothing is left to train");
        Assert.That(TrajectoryOf(longer), Is.EqualTo(TrajectoryOf(resumed)));
    }

    private static void AssertEndsLike(JsonElement expected, JsonElement experiment) => Assert.Multiple(() =>
    {
        Assert.That((Status(experiment), experiment.GetProperty("stoppedEarly").GetBoolean()), Is.EqualTo(("completed", true)));
        Assert.That((Step(experiment), Accuracy(experiment), Hash(experiment)), Is.EqualTo((Step(expected), Accuracy(expected), Hash(expected))));
    });

    private static string TrajectoryOf(JsonElement experiment) => experiment.GetProperty("trajectoryId").GetString()!;

    private Task<JsonElement> GenerateAsync(string model, object space, object? network = null, bool force = false) =>
        _stack.PostAsync($"/api/models/{model}/experiments", new { space, @fixed = network ?? new { }, force });

    /// <summary>The study's new experiments, in the order of the space, when they and all attempts at them have ended.</summary>
    private async Task<List<JsonElement>> WhenAllAsync(JsonElement study)
    {
        List<JsonElement> all = [];
        foreach (var experiment in study.GetProperty("experiments").EnumerateArray())
            all.Add(await WhenAsync(Id(experiment), HasEnded));
        Assert.That(all.Select(Status), Is.All.EqualTo("completed"));
        return all;
    }

    private Task<JsonElement> WhenAsync(string id, Func<JsonElement, bool> accept) =>
        Eventually.GetAsync($"experiment {id}", Patience, () => _stack.GetAsync($"/api/experiments/{id}"), accept);

    /// <summary>The same images for each.</summary>
    private async Task<string> NewModelAsync()
    {
        var model = await _stack.CreateModelAsync($"Same {Guid.NewGuid():N}");
        await _stack.UploadAsync(model, DrawnDigits.Zip(perDigit: 30));
        return model;
    }
}
