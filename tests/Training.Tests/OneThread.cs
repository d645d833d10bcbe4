namespace MlExperiments.Training.Tests;

/// <summary>Tests compute as trainers do: with one thread, and so with the same bits.</summary>
[SetUpFixture]
public sealed class OneThread
{
    [OneTimeSetUp]
    public void StartEngine() => Engine.Start(Engine.Cpu);
}
