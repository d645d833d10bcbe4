using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using MlExperiments.Testing;

namespace MlExperiments.Benchmarks;

/// <summary>
/// <c>grid</c>: 27 experiments (learning rate 0.001, 0.01, 0.1 x layers 1, 2, 4 x three numbers of steps) through the running product, from the request
/// to the last result, against 27 runs of train.py: one after another with two threads, and two at a time with one thread each. Dropout 0, the same images.
/// </summary>
internal static class GridBenchmark
{
    private static readonly double[] Rates = [0.001, 0.01, 0.1];
    private static readonly int[] Layers = [1, 2, 4];

    public static Command CreateCommand()
    {
        var images = Options.Images();
        var steps = new Option<int[]>("--steps") { Description = "The numbers of steps", DefaultValueFactory = _ => [100, 200, 400], AllowMultipleArgumentsPerToken = true };
        var full = new Option<bool>("--full") { Description = "The default grid's 1000, 2000 and 4000 steps: an hour and a quarter" };
        var slots = Options.AtLeast(1, new("--slots") { Description = "How many trainings our worker runs at once", DefaultValueFactory = _ => 2 });
        var peers = new Option<string>("--peers") { Description = "The script's runs: both, parallel (without those one after another) or none", DefaultValueFactory = _ => "both" };
        peers.AcceptOnlyFromAmong("both", "parallel", "none");
        var python = Options.Python();
        var precision = Options.Precision();
        var seed = new Option<int>("--seed") { Description = "Seed of our trainings: others show how far accuracies differ by luck" };
        var command = new Command("grid", "27 experiments end to end, against 27 runs of a script") { images, steps, full, slots, peers, python, precision, seed };
        command.SetAction((result, _) => RunAsync(
            result.GetValue(images)!, result.GetValue(full) ? [1000, 2000, 4000] : result.GetValue(steps)!, result.GetValue(slots), result.GetValue(peers)!,
            result.GetValue(python)!, result.GetValue(precision)!, result.GetValue(seed)));
        return command;
    }

    private static async Task<int> RunAsync(FileInfo images, int[] steps, int slots, string peers, string python, string precision, int seed)
    {
        var folder = Directory.CreateTempSubdirectory("mlexperiments-grid-");
        try
        {
            var root = await Options.ExtractAsync(images, folder);
            var ours = await OursAsync(images, steps, slots, precision, seed);
            Say(ours, null);
            if (peers is "both" or "parallel")
                Say(await TheirsAsync(python, root, steps, atOnce: slots, threads: 1), ours);
            if (peers is "both")
                Say(await TheirsAsync(python, root, steps, atOnce: 1, threads: 2), ours);
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<Outcome> OursAsync(FileInfo images, int[] steps, int slots, string precision, int seed)
    {
        await using var postgres = await PrivatePostgres.StartAsync();
        // As deploy/local.sh starts programs.
        await using var stack = await Stack.StartAsync(slots, await TestDatabase.CreateEmptyAsync(postgres), ("DOTNET_GCgen0size", "0x200000"));
        var model = await stack.CreateModelAsync("grid");
        var clock = Stopwatch.StartNew();
        await using (var zip = images.OpenRead())
            await stack.UploadAsync(model, zip);
        var upload = clock.Elapsed;
        var study = await stack.PostAsync(
            $"/api/models/{model}/experiments", new { space = new { learningRate = Rates, layers = Layers, steps }, @fixed = new { dropout = 0, precision, seed } });
        var experiments = study.GetProperty("experiments").GetArrayLength();
        var (memory, turn) = (0L, 0);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(0.4));
        while (await timer.WaitForNextTickAsync())
        {
            // Not at each turn: counting takes the kernel some 50 ms of the cores that are measured.
            if (turn++ % 25 == 0)
                memory = Math.Max(memory, ProcessMemory.ProportionalOfTree(stack.Worker.Id));
            var counts = (await stack.GetAsync($"/api/models/{model}/experiments/summary")).GetProperty("statuses");
            if (counts.GetProperty("failed").GetInt32() > 0 || stack.Worker.HasExited)
                throw new InvalidOperationException($"An experiment failed, or the worker ended: {stack.Worker.Output}");
            if (counts.GetProperty("completed").GetInt32() == experiments)
                break;
        }

        var took = clock.Elapsed;
        var best = (await stack.ExperimentsAsync(model)).Max(experiment => experiment.GetProperty("testAccuracy").GetDouble());
        return new Outcome(string.Create(CultureInfo.InvariantCulture, $"ours, slots: {slots}, {precision}, seed {seed}; {upload.TotalSeconds:F1} s of it the upload; worker and trainers {memory >> 20} MiB (the most of samples each 10 s)"), took, best);
    }

    private static async Task<Outcome> TheirsAsync(string python, string images, int[] steps, int atOnce, int threads)
    {
        var runs = (from rate in Rates from layers in Layers from count in steps select (rate, layers, count)).ToList();
        var best = 0.0;
        var clock = Stopwatch.StartNew();
        await Parallel.ForEachAsync(runs, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (run, _) =>
        {
            var accuracy = await TrainingCommand.Script(python, threads).RunAsync(run.rate, run.layers, run.count, images, seed: 0);
            lock (runs)
                best = Math.Max(best, accuracy);
        });
        return new Outcome(threads == 2 ? "train.py, one after another, two threads" : $"train.py, {atOnce} at a time, one thread each", clock.Elapsed, best);
    }

    private static void Say(Outcome outcome, Outcome? ours) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{outcome.Took.TotalSeconds,8:F1} s  {(ours is null ? "" : $"{outcome.Took / ours.Took:F1} x ours"),10}  best test accuracy {outcome.Best:F4}  {outcome.Name}"));

    private sealed record Outcome(string Name, TimeSpan Took, double Best);
}
