using System.Diagnostics;
using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>What a worker and the trainers that it starts keep in memory on real images: a machine of 1 GiB has room for the Api and PostgreSQL beside them.</summary>
[TestFixture]
[Category("Alone")]
public sealed class MemoryTests
{
    private const int MaxTrainerMebibytes = 300;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Of a worker and its trainers together, by slots.</summary>
    private static readonly (int Slots, int MaxMebibytes)[] Workers = [(1, 380), (2, 620)];

    [Test]
    public async Task Workers_TrainingMnist_TakeLittleMemory()
    {
        var zip = SampleData.PathOrSkip("mnist.zip");
        // As deploy/local.sh starts programs.
        await using var stack = await Stack.StartAsync(slots: Workers[0].Slots, settings: ("DOTNET_GCgen0size", "0x200000"));
        var modelId = await stack.CreateModelAsync("MNIST");
        await using (var images = File.OpenRead(zip))
            await stack.UploadAsync(modelId, images);

        List<(int Slots, int Max, double Together, double Trainer)> figures = [];
        foreach (var (slots, max) in Workers)
        {
            // The first one is there, and packs the images too.
            if (slots != Workers[0].Slots)
            {
                await stack.Worker.StopAsync(Patience);
                stack.StartWorker($"{slots} slots", ("Worker__Slots", $"{slots}"));
            }

            // The default network and the deepest of the default grid for each slot, with two measurements of all validation and test images.
            var learningRate = Enumerable.Range(1, slots).Select(place => place * 0.001);
            await stack.PostAsync($"/api/models/{modelId}/experiments", new { space = new { learningRate, layers = new[] { 4, 2 }, steps = new[] { 100, 200 } }, @fixed = new { seed = slots } });
            var (together, trainer) = await WatchAsync(stack, modelId);
            await TestContext.Out.WriteLineAsync($"Memory on MNIST, {slots} slots: {together:0} MiB at most together, {trainer:0} MiB at most for a trainer");
            figures.Add((slots, max, together, trainer));
        }

        var experiments = await stack.ExperimentsAsync(modelId);
        Assert.Multiple(() =>
        {
            Assert.That(experiments.Select(ExperimentAnswers.Status), Is.EqualTo(Enumerable.Repeat("completed", 12)));
            foreach (var (slots, max, together, trainer) in figures)
            {
                Assert.That(together, Is.InRange(MaxTrainerMebibytes / 4, max), $"MiB of a worker with {slots} slots and its trainers");
                Assert.That(trainer, Is.InRange(MaxTrainerMebibytes / 4, MaxTrainerMebibytes), $"MiB of a trainer beside {slots - 1} others");
            }
        });
    }

    /// <summary>Until all experiments have ended.</summary>
    /// <returns>
    /// In MiB, the most that was seen of the newest worker and its trainers together, and the most that one of the trainers ever had. Trainers of
    /// others on the machine take their share of the libraries off the first.
    /// </returns>
    private static async Task<(double Together, double Trainer)> WatchAsync(Stack stack, string modelId)
    {
        const double mebibyte = 1 << 20;
        var (together, trainer) = (0.0, 0.0);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(0.5));
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Patience; await timer.WaitForNextTickAsync())
        {
            together = Math.Max(together, ProcessMemory.ProportionalOfTree(stack.Worker.Id) / mebibyte);
            foreach (var child in Processes.ChildrenOf(stack.Worker.Id).Where(child => !Processes.HasEnded(child)))
                trainer = Math.Max(trainer, ProcessMemory.PeakOf($"{child}") / mebibyte);
            if ((await stack.ExperimentsAsync(modelId)).TrueForAll(ExperimentAnswers.IsFinal))
                return (together, trainer);
        }

        throw new AssertionException($"The experiments didn't end.\n{stack.Worker.Output}");
    }
}
