using System.CommandLine;
using System.Globalization;

namespace MlExperiments.Benchmarks;

/// <summary>
/// <c>accuracy</c>: what our networks and train.py's are worth after the same steps on the same images, over several seeds: whether what is gained in
/// speed costs accuracy. Both train on all of train/ and are measured on test/, with the grid's best learning rate.
/// </summary>
internal static class AccuracyBenchmark
{
    public static Command CreateCommand()
    {
        var images = Options.Images();
        // A deviation takes two values.
        var seeds = Options.AtLeast(2, new("--seeds") { Description = "How many seeds, from 0 on", DefaultValueFactory = _ => 5 });
        var layers = new Option<int[]>("--layers") { Description = "Which networks", DefaultValueFactory = _ => [1, 2, 4], AllowMultipleArgumentsPerToken = true };
        var steps = Options.AtLeast(1, new("--steps") { Description = "Training steps", DefaultValueFactory = _ => 4000 });
        var rate = new Option<double>("--learning-rate") { Description = "Learning rate", DefaultValueFactory = _ => 0.001 };
        var atOnce = Options.AtLeast(1, new("--at-once") { Description = "Processes at a time, a thread each", DefaultValueFactory = _ => 2 });
        var python = Options.Python();
        var command = new Command("accuracy", "Accuracies over several seeds, against a script's") { images, seeds, layers, steps, rate, atOnce, python };
        command.SetAction((result, _) => RunAsync(
            result.GetValue(images)!, result.GetValue(seeds), result.GetValue(layers)!, result.GetValue(steps), result.GetValue(rate), result.GetValue(atOnce),
            result.GetValue(python)!));
        return command;
    }

    private static async Task<int> RunAsync(FileInfo images, int seeds, int[] layers, int steps, double rate, int atOnce, string python)
    {
        var folder = Directory.CreateTempSubdirectory("mlexperiments-accuracy-");
        try
        {
            var root = await Options.ExtractAsync(images, folder);
            // Where there are validation images none are held out of those to train on; the accuracy is theirs.
            var ours = folder.CreateSubdirectory("ours");
            Directory.CreateSymbolicLink(Path.Combine(ours.FullName, "train"), Path.Combine(root, "train"));
            Directory.CreateSymbolicLink(Path.Combine(ours.FullName, "validation"), Path.Combine(root, "test"));
            var sides = new[]
            {
                (Command: TrainingCommand.Ours(Path.Combine(folder.FullName, "trained")), Images: ours.FullName),
                (Command: TrainingCommand.Script(python, threads: 1), Images: root),
            };

            Console.WriteLine($"Accuracy in percent after {steps} steps at {rate.ToString(CultureInfo.InvariantCulture)}: mean and standard deviation over {seeds} seeds; the difference of the means and its standard error.");
            Console.WriteLine();
            Console.WriteLine("| layers | ours | train.py | difference |");
            Console.WriteLine("|---|---|---|---|");
            foreach (var count in layers)
            {
                var accuracies = new[] { new double[seeds], new double[seeds] };
                var runs = from seed in Enumerable.Range(0, seeds) from side in Enumerable.Range(0, 2) select (side, seed);
                await Parallel.ForEachAsync(runs, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (run, _) =>
                {
                    var (command, of) = sides[run.side];
                    accuracies[run.side][run.seed] = 100 * await command.RunAsync(rate, count, steps, of, run.seed);
                });
                Console.WriteLine(Row(count, accuracies[0], accuracies[1]));
            }

            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Row(int layers, double[] ours, double[] theirs)
    {
        var error = Math.Sqrt((Variance(ours) / ours.Length) + (Variance(theirs) / theirs.Length));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {layers} | {ours.Average():F2} +- {Math.Sqrt(Variance(ours)):F2} | {theirs.Average():F2} +- {Math.Sqrt(Variance(theirs)):F2} | {ours.Average() - theirs.Average():+0.00;-0.00} +- {error:F2} |");
    }

    /// <summary>The unbiased estimate, of two values or more.</summary>
    private static double Variance(double[] values)
    {
        var mean = values.Average();
        return values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1);
    }
}
