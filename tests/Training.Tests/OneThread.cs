using MlExperiments.Training.Cli;

namespace MlExperiments.Training.Tests;

/// <summary>Tests compute as trainers do: with one thread, and so with the same bits.</summary>
[SetUpFixture]
public sealed class OneThread
{
    [OneTimeSetUp]
    public void LimitThreads()
    {
        Posix.LimitLibrariesToOneThread();
        Engine.UseOneThread();
    }
}
