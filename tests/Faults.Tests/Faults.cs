using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace MlExperiments.Faults.Tests;

/// <summary>What all faults share: how often each is tried, the seed of every random choice, and the table that they end in.</summary>
internal static class Faults
{
    private const string SeedVariable = "MLEXPERIMENTS_SEED";

    private static readonly ConcurrentQueue<string> Lines = new();

    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("MLEXPERIMENTS_LONG") is "1";

    public static int Seed { get; } = Environment.GetEnvironmentVariable(SeedVariable) is { Length: > 0 } given
        ? int.Parse(given, CultureInfo.InvariantCulture)
        : Random.Shared.Next(1_000_000);

    public static int Times(int inShort, int inLong) => IsLong ? inLong : inShort;

    /// <summary>The test's own choices: the same again for the same seed, whichever other tests run.</summary>
    public static Random NewRandom([CallerMemberName] string test = "")
    {
        TestContext.Out.WriteLine($"{SeedVariable}={Seed}");
        return new Random(Encoding.UTF8.GetBytes(test).Aggregate(Seed, (hash, next) => unchecked((hash * 31) + next)));
    }

    public static async Task PauseAsync(TimeSpan pause)
    {
        using var timer = new PeriodicTimer(pause + TimeSpan.FromTicks(TimeSpan.TicksPerMillisecond));
        await timer.WaitForNextTickAsync();
    }

    /// <param name="times">How often the fault was made to happen.</param>
    /// <param name="lost">Results, or acknowledged writes, that are missing or differ from an undisturbed run's.</param>
    /// <param name="repeated">Results that were written more than once, or by a worker that no longer held the trajectory.</param>
    public static void Report(string fault, int times, int lost, int repeated) =>
        Lines.Enqueue($"| {fault} | {times} | {lost} | {repeated} | {Seed} |");

    public static string Table() =>
        string.Join('\n', [$"{SeedVariable}={Seed} repeats these faults:", "", "| fault | times | lost | repeated | seed |", "|---|---|---|---|---|", .. Lines, ""]);
}
