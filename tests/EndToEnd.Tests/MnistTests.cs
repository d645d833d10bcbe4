using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using MlExperiments.Testing;
using static MlExperiments.EndToEnd.Tests.ExperimentAnswers;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>The main job on real images: 70,000 MNIST digits, 27 experiments, the best one, and predictions.</summary>
[TestFixture]
[Category("Alone")]
public sealed class MnistTests
{
    private static readonly string[] Parameters = ["learningRate", "layers", "steps"];

    [Test]
    public async Task MainJob_WithShortSteps_FindsAGoodModel()
    {
        var figures = await RunAsync([100, 200, 400], within: TimeSpan.FromMinutes(10));
        Assert.That(figures.BestAccuracy, Is.GreaterThanOrEqualTo(0.97));
    }

    [Test]
    public async Task MainJob_WithTheDefaultGrid_FindsTheBestModel()
    {
        if (Environment.GetEnvironmentVariable("MLEXPERIMENTS_LONG") is not "1")
            Assert.Ignore("The full grid takes several minutes: set MLEXPERIMENTS_LONG=1, or run tests/run.sh --long.");
        var figures = await RunAsync(steps: null, within: TimeSpan.FromMinutes(40));
        Assert.That(figures.TestAccuracy, Is.GreaterThanOrEqualTo(0.988));
    }

    private static async Task<(double BestAccuracy, double TestAccuracy)> RunAsync(int[]? steps, TimeSpan within)
    {
        var zip = SampleData.PathOrSkip("mnist.zip");
        await using var stack = await Stack.StartAsync();
        var modelId = await stack.CreateModelAsync("MNIST");

        // Upload.
        var before = stack.Api.ResidentMemory;
        var peak = before;
        using var ended = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            while (!ended.IsCancellationRequested && await timer.WaitForNextTickAsync())
                peak = Math.Max(peak, stack.Api.ResidentMemory);
        });
        var clock = Stopwatch.StartNew();
        JsonElement uploaded;
        await using (var stream = File.OpenRead(zip))
            uploaded = await stack.UploadAsync(modelId, stream);
        var uploadSeconds = clock.Elapsed.TotalSeconds;
        await ended.CancelAsync();
        await watching;
        var growth = (peak - before) / 1048576.0;
        Report($"Upload of 70,000 images: {uploadSeconds:0.0} s, the Api's memory grew by {growth:0} MiB to {peak / 1048576.0:0} MiB");
        Assert.Multiple(() =>
        {
            Assert.That(uploaded.GetProperty("accepted").GetInt32(), Is.EqualTo(70_000));
            Assert.That(uploaded.GetProperty("duplicates").GetInt32(), Is.Zero);
            Assert.That(uploaded.GetProperty("refused").GetArrayLength(), Is.Zero);
            Assert.That(uploadSeconds, Is.LessThan(60));
            Assert.That(growth, Is.LessThan(150));
        });

        // The grid.
        clock.Restart();
        var study = await stack.PostAsync(
            $"/api/models/{modelId}/experiments",
            steps is null ? null : new
            {
                space = new { learningRate = new[] { 0.001, 0.01, 0.1 }, layers = new[] { 1, 2, 4 }, steps },
                // So few steps gain from larger batches and less dropout.
                @fixed = new { batchSize = 96, dropout = 0.25 },
            });
        Assert.That(study.GetProperty("experiments").GetArrayLength(), Is.EqualTo(27));
        var experiments = await stack.WhenAllCompletedAsync(modelId, within);
        Report($"The grid: {clock.Elapsed.TotalSeconds:0} s");
        foreach (var experiment in experiments.OrderByDescending(Accuracy).Take(5))
            Report($"  {Describe(experiment)}: validation {Accuracy(experiment):0.0000}, test {experiment.GetProperty("testAccuracy").GetDouble():0.0000}, {experiment.GetProperty("durationSeconds").GetDouble():0.0} s");
        Assert.Multiple(async () =>
        {
            Assert.That(experiments.Select(experiment => experiment.GetProperty("status").GetString()), Is.All.EqualTo("completed"));
            Assert.That(await stack.CountAsync("SELECT count(*) FROM trajectories"), Is.EqualTo(9));
            // The last one ends a moment after its results.
        await Eventually.IsTrueAsync("all attempts to end", TimeSpan.FromMinutes(1), async () => await stack.CountAsync("SELECT count(*) FROM attempts WHERE outcome IS NULL") == 0);
        Assert.That(await stack.CountAsync("SELECT count(*) FROM attempts WHERE outcome = 'completed'"), Is.EqualTo(9));
            Assert.That(await stack.CountAsync("SELECT count(*) FROM attempts"), Is.EqualTo(9));
        });

        // The best.
        var best = await stack.GetAsync($"/api/models/{modelId}/best");
        var bestAccuracy = best.GetProperty("accuracy").GetDouble();
        var testAccuracy = best.GetProperty("testAccuracy").GetDouble();
        Report($"Best: {best.GetProperty("parameters")} validation {bestAccuracy:0.0000}, test {testAccuracy:0.0000}");
        Assert.Multiple(() =>
        {
            Assert.That(bestAccuracy, Is.EqualTo(experiments.Max(Accuracy)));
            Assert.That(best.GetProperty("experiments").GetArrayLength(), Is.EqualTo(27));
            foreach (var name in Parameters)
                Assert.That(best.GetProperty("parameters").TryGetProperty(name, out _), Is.True, name);
        });

        await PredictAsync(stack, modelId, zip);
        return (bestAccuracy, testAccuracy);
    }

    /// <summary>100 test images of each digit, one at a time.</summary>
    private static async Task PredictAsync(Stack stack, string modelId, string zip)
    {
        const int perDigit = 100;
        using var archive = ZipFile.OpenRead(zip);
        var byDigit = archive.Entries.Where(entry => entry.FullName.StartsWith("mnist/test/", StringComparison.Ordinal) && entry.Length > 0)
            .GroupBy(entry => entry.FullName.Split('/')[2])
            .SelectMany(group => group.Take(perDigit).Select(entry => (Digit: group.Key, Entry: entry)))
            .ToList();
        var right = 0;
        List<double> milliseconds = [];
        foreach (var (digit, entry) in byDigit)
        {
            var image = new byte[entry.Length];
            await using (var stream = entry.Open())
                await stream.ReadExactlyAsync(image);
            var clock = Stopwatch.StartNew();
            var prediction = await stack.PredictAsync(modelId, image);
            milliseconds.Add(clock.Elapsed.TotalMilliseconds);
            if (prediction.GetProperty("label").GetString() == digit)
                right++;
        }

        milliseconds.Sort();
        var p95 = milliseconds[(int)(0.95 * milliseconds.Count)];
        Report($"{milliseconds.Count} predictions, {right} right; one takes {milliseconds[milliseconds.Count / 2]:0.0} ms (median), {p95:0.0} ms (p95), {milliseconds[0]:0.0} to {milliseconds[^1]:0.0} ms");
        Assert.Multiple(() =>
        {
            Assert.That(milliseconds, Has.Count.EqualTo(10 * perDigit));
            Assert.That(right, Is.GreaterThanOrEqualTo(960));
            Assert.That(p95, Is.LessThan(150));
        });
    }

    private static string Describe(JsonElement experiment) =>
        string.Join(", ", Parameters.Select(name => $"{name} {experiment.GetProperty("parameters").GetProperty(name)}"));

    private static void Report(string figure) => TestContext.Progress.WriteLine(figure);
}
