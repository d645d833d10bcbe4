using System.CommandLine;
using System.Diagnostics;
using System.Globalization;

namespace MlExperiments.Benchmarks;

/// <summary>
/// <c>step</c>: one training step of ours against the same network in eager PyTorch (train.py) and of TorchSharp's own modules, each in a process of its
/// own with one thread; Adam, batch 64, 28 x 28 x 1, dropout 0. Sides take turns, so that a machine that is busy for a while is so for all.
/// </summary>
internal static class StepBenchmark
{
    private const int WarmUpSteps = 30;

    public static Command CreateCommand()
    {
        var layers = new Option<int[]>("--layers") { Description = "Which networks", DefaultValueFactory = _ => [1, 2, 4], AllowMultipleArgumentsPerToken = true };
        var rounds = Options.AtLeast(1, new("--rounds") { Description = "How often each side has its turn", DefaultValueFactory = _ => 10 });
        var steps = Options.AtLeast(1, new("--steps") { Description = "Steps a turn", DefaultValueFactory = _ => 20 });
        var python = Options.Python();
        var precision = Options.Precision();
        var command = new Command("step", "One training step against PyTorch's and TorchSharp's, at one thread") { layers, rounds, steps, python, precision };
        command.SetAction(result => Run(
            result.GetValue(layers)!, result.GetValue(rounds), result.GetValue(steps), result.GetValue(python)!, result.GetValue(precision)!));
        return command;
    }

    private static int Run(int[] layers, int rounds, int steps, string python, string precision)
    {
        Console.WriteLine("Milliseconds a step, medians; the processor's time in brackets, which other programs' load moves less. Ratios: ours to the peer's, by the clock and (by the processor's time).");
        Console.WriteLine();
        Console.WriteLine("| layers | ours | share of the core's peak | PyTorch, eager | ratio | TorchSharp, eager | ratio | TorchSharp, eager, channels last, mimalloc | ratio |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach (var count in layers)
        {
            using var ours = new Side(Benchmark("steps", $"{count}", precision));
            using var pyTorch = new Side(OneThread(new(python, [Path.Combine(AppContext.BaseDirectory, "steps.py"), $"{count}"])));
            using var torchSharp = new Side(OneThread(Benchmark("eager", $"{count}")));
            using var tuned = new Side(Benchmark("eager", $"{count}", "--tuned"));
            Side[] sides = [ours, pyTorch, torchSharp, tuned];
            foreach (var side in sides) side.Take(WarmUpSteps);

            var times = sides.Select(_ => new List<Time>()).ToList();
            var peaks = new List<double>();
            for (var round = 0; round < rounds; round++)
            {
                foreach (var (side, its) in sides.Zip(times)) its.AddRange(side.Take(steps));
                // Between the rounds: a core is as fast as its neighbours let it be.
                peaks.Add(pyTorch.Peak());
            }

            var share = GigaFlop(count) / (Median(times[0], time => time.Cpu) / 1000) / Median(peaks, peak => peak);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {count} | {Describe(times[0])} | {share:P0} | {string.Join(" | ", times.Skip(1).Select(theirs => $"{Describe(theirs)} | {Ratio(times[0], theirs)}"))} |"));
        }

        return 0;
    }

    // Ours sets its environment by itself, as trainers do.
    private static ProcessStartInfo Benchmark(params string[] arguments) => new("dotnet", [typeof(StepBenchmark).Assembly.Location, .. arguments]);

    private static ProcessStartInfo OneThread(ProcessStartInfo start)
    {
        foreach (var variable in new[] { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS" })
            start.Environment[variable] = "1";
        return start;
    }

    private static string Ratio(List<Time> ours, List<Time> theirs) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Median(ours, time => time.Wall) / Median(theirs, time => time.Wall):F2} ({Median(ours, time => time.Cpu) / Median(theirs, time => time.Cpu):F2})");

    /// <summary>
    /// What a step of 64 images has to compute, by direct convolution: two operations a product, forward, for the weights' gradient, and for the inputs'
    /// (which the first layer needs not). In 10^9 operations.
    /// </summary>
    private static double GigaFlop(int layers)
    {
        const int Batch = 64, Kernel = 9, Filters = 32, DenseUnits = 128, Classes = 10;
        var (side, channels, sum) = (28, 1, 0.0);
        for (var layer = 0; layer < layers; layer++)
        {
            var outputs = layer == 0 ? Filters : 2 * Filters;
            sum += (layer == 0 ? 2.0 : 3.0) * side * side * Kernel * channels * outputs;
            channels = outputs;
            if (side > 3) side /= 2;
        }

        sum += 3.0 * ((side * side * channels * DenseUnits) + (DenseUnits * Classes));
        return 2 * Batch * sum / 1e9;
    }

    private static string Describe(List<Time> times) =>
        string.Create(CultureInfo.InvariantCulture, $"{Median(times, time => time.Wall):F1} ({Median(times, time => time.Cpu):F1})");

    private static double Median<T>(IReadOnlyList<T> items, Func<T, double> value)
    {
        var sorted = items.Select(value).Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }

    private readonly record struct Time(double Wall, double Cpu);

    /// <summary>One side's process; it ends with its input.</summary>
    private sealed class Side : IDisposable
    {
        private readonly Process _process;

        public Side(ProcessStartInfo start)
        {
            start.RedirectStandardInput = start.RedirectStandardOutput = true;
            _process = Process.Start(start)!;
        }

        public IReadOnlyList<Time> Take(int steps)
        {
            _process.StandardInput.WriteLine(steps);
            _process.StandardInput.Flush();
            var line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"{_process.StartInfo.FileName} ended early (see above).");
            return [.. line.Split(' ').Select(Parse)];
        }

        /// <summary>The core's GFLOP/s, where the side can measure it.</summary>
        public double Peak()
        {
            _process.StandardInput.WriteLine("peak");
            _process.StandardInput.Flush();
            return double.Parse(_process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("It ended early (see above)."), CultureInfo.InvariantCulture);
        }

        public void Dispose()
        {
            _process.StandardInput.Close();
            _process.WaitForExit();
            _process.Dispose();
        }

        private static Time Parse(string text)
        {
            var parts = text.Split(':').Select(part => double.Parse(part, CultureInfo.InvariantCulture)).ToArray();
            return new(parts[0], parts[1]);
        }
    }
}
