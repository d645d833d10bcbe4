using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using MlExperiments.Testing;

namespace MlExperiments.Benchmarks;

/// <summary>
/// A program that trains one network and prints its accuracy: ours or train.py, which take the same options. Dropout 0 in both.
/// </summary>
internal sealed partial record TrainingCommand(string Program, string[] Arguments, string Threads)
{
    /// <param name="output">Where it keeps weights and the packed images.</param>
    public static TrainingCommand Ours(string output) => new("dotnet", [ServiceProcess.Assembly("Training"), "train", "--output", output], "1");

    /// <param name="threads">As many as torch may take.</param>
    public static TrainingCommand Script(string python, int threads) =>
        new(python, [Path.Combine(AppContext.BaseDirectory, "train.py"), "--threads", Text(threads)], Text(threads));

    /// <summary>Trains from step 0 to the last.</summary>
    /// <returns>The accuracy that it measured, 0 to 1.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public async Task<double> RunAsync(double rate, int layers, int steps, string images, int seed)
    {
        string[] arguments =
        [
            .. Arguments, "--i", Text(rate), "--j", Text(layers), "--k", Text(steps), "--images", images, "--seed", Text(seed), "--dropout", "0",
        ];
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // No more than it was told to: others would be in the way of the process beside it.
        start.Environment["OMP_NUM_THREADS"] = Threads;
        using var process = Process.Start(start)!;
        var reading = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        var errors = await reading;
        await process.WaitForExitAsync();
        return process.ExitCode == 0 && Accuracy().Match(output) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"{Program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {errors}");
    }

    private static string Text<T>(T value)
        where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^accuracy: ([0-9.]+)", RegexOptions.Multiline)]
    private static partial Regex Accuracy();
}
