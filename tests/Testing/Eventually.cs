using System.Diagnostics;

namespace MlExperiments.Testing;

/// <summary>Waiting for what another process does: asks again and again until a deadline.</summary>
public static class Eventually
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(50);

    /// <returns>The first answer that <paramref name="accept"/> takes.</returns>
    /// <exception cref="AssertionException">None came in time; the message shows the last one.</exception>
    public static async Task<T> GetAsync<T>(string what, TimeSpan within, Func<Task<T>> ask, Func<T, bool> accept)
    {
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(AskEvery);
        while (true)
        {
            var answer = await ask();
            if (accept(answer))
                return answer;
            if (clock.Elapsed > within)
                throw new AssertionException($"Waited {within.TotalSeconds:0} s for {what}; at last it was {answer}.");
            await timer.WaitForNextTickAsync();
        }
    }

    public static Task IsTrueAsync(string what, TimeSpan within, Func<Task<bool>> ask) => GetAsync(what, within, ask, answer => answer);
}
