namespace MlExperiments.Faults.Tests;

/// <summary>Prints, at the end, what the faults came to; tests/run.sh shows the file that it is written to.</summary>
[SetUpFixture]
public sealed class FaultSuite
{
    [OneTimeTearDown]
    public static async Task OneTimeTearDown()
    {
        await TestContext.Progress.WriteLineAsync(Faults.Table());
        if (Environment.GetEnvironmentVariable("MLEXPERIMENTS_TESTS") is { Length: > 0 } folder)
            await File.WriteAllTextAsync(Path.Combine(folder, "faults.md"), Faults.Table());
    }
}
