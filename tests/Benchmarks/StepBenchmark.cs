using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using MlExperiments.Worker;
using MlExperiments.Worker.Slots;

namespace MlExperiments.Benchmarks;

/// <summary>
/// <c>step</c>: one training step of ours against the same network in PyTorch (train.py), each in a process of its own with one thread;
/// Adam, batch 64, 28 x 28 x 1, dropout 0. Rounds alternate, so that a machine that is busy for a while is so for both.
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
        var sameAllocator = new Option<bool>("--same-allocator") { Description = "Give mimalloc, which our trainers run with, to PyTorch too" };
        var precision = Options.Precision();
        var command = new Command("step", "One training step against PyTorch's, at one thread") { layers, rounds, steps, python, sameAllocator, precision };
        command.SetAction(result => Run(
            result.GetValue(layers)!, result.GetValue(rounds), result.GetValue(steps), result.GetValue(python)!, result.GetValue(sameAllocator), result.GetValue(precision)!));
        return command;
    }

    private static int Run(int[] layers, int rounds, int steps, string python, bool sameAllocator, string precision)
    {
        Console.WriteLine("Milliseconds a step, medians; the processor's time in brackets, which other programs' load moves less.");
        Console.WriteLine();
        Console.WriteLine("| layers | ours | PyTorch | ratio | of its median round | the core's peak | of it ours, PyTorch |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var count in layers)
        {
            using var ours = new Side(Ours(count, precision));
            using var theirs = new Side(Theirs(python, count, sameAllocator ? ours.Allocator : []));
            ours.Take(WarmUpSteps);
            theirs.Take(WarmUpSteps);
            // The peak is measured between the rounds: a core is as fast as its neighbours let it be.
            var turns = Enumerable.Range(0, rounds).Select(_ => (Ours: ours.Take(steps), Theirs: theirs.Take(steps), Peak: theirs.Peak())).ToList();

            var (a, b) = (turns.SelectMany(turn => turn.Ours).ToList(), turns.SelectMany(turn => turn.Theirs).ToList());
            var (wall, cpu) = (Median(a, time => time.Wall) / Median(b, time => time.Wall), Median(a, time => time.Cpu) / Median(b, time => time.Cpu));
            var peak = Median(turns, turn => turn.Peak);
            var round = Median(turns, turn => Median(turn.Ours, time => time.Wall) / Median(turn.Theirs, time => time.Wall));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {count} | {Describe(a)} | {Describe(b)} | {wall:F2} ({cpu:F2}) | {round:F2} | {peak:F0} GFLOP/s | {Share(a):P0}, {Share(b):P0} |"));

            double Share(List<Time> times) => GigaFlop(count) / (Median(times, time => time.Cpu) / 1000) / peak;
        }

        return 0;
    }

    // As workers start trainers.
    private static ProcessStartInfo Ours(int layers, string precision)
    {
        var options = new WorkerOptions { TrainerCommand = "dotnet", TrainerArguments = [typeof(StepPeer).Assembly.Location, "steps", $"{layers}", precision] };
        return new TrainerProgram(Microsoft.Extensions.Options.Options.Create(options)).StartInfo();
    }

    private static ProcessStartInfo Theirs(string python, int layers, IEnumerable<KeyValuePair<string, string?>> environment)
    {
        var start = new ProcessStartInfo(python, [Path.Combine(AppContext.BaseDirectory, "steps.py"), $"{layers}"]);
        foreach (var (variable, value) in environment.Append(new("OMP_NUM_THREADS", "1")).Append(new("OPENBLAS_NUM_THREADS", "1")))
            start.Environment[variable] = value;
        return start;
    }

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

        /// <summary>The variables that say which allocator it has, and how that is to behave.</summary>
        public IEnumerable<KeyValuePair<string, string?>> Allocator => _process.StartInfo.Environment.Where(variable => variable.Key is "LD_PRELOAD" || variable.Key.StartsWith("MIMALLOC", StringComparison.Ordinal));

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
