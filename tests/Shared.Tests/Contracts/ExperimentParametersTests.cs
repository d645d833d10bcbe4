using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class ExperimentParametersTests
{
    private static readonly ExperimentParameters Usual = new() { LearningRate = 0.1, Layers = 2, Steps = 1000 };

    [TestCase("constant", new[] { 0.1, 0.1, 0.1, 0.1, 0.1 })]
    [TestCase("step", new[] { 0.1, 0.1, 0.05, 0.05, 0.025 })]
    [TestCase("exponential", new[] { 0.1, 0.070710678, 0.05, 0.035355339, 0.025 })]
    public void ScheduledRate_EveryFiftySteps_FallsAsTheScheduleSays(string schedule, double[] expected)
    {
        var parameters = Usual with { Schedule = schedule, DecayEvery = 100, DecayFactor = 0.5 };
        Assert.That(Enumerable.Range(0, 5).Select(i => parameters.ScheduledRateAt(50 * i)), Is.EqualTo(expected).Within(1e-9));
    }

    [Test]
    public void ScheduledRate_WhileWarmingUp_RisesEvenly()
    {
        var parameters = Usual with { WarmUpSteps = 4, Schedule = "step", DecayEvery = 2, DecayFactor = 0.5 };
        Assert.That(
            Enumerable.Range(0, 6).Select(parameters.ScheduledRateAt),
            Is.EqualTo(new[] { 0.025, 0.05, 0.0375, 0.05, 0.025, 0.025 }).Within(1e-12), "times what the schedule has at the step");
    }

    [Test]
    public void ScheduledRate_AfterAChange_GoesOnFallingFromTheNewRate()
    {
        var parameters = Usual with { Schedule = "step", DecayEvery = 100, DecayFactor = 0.5, LearningRateChanges = [new(150, 0.4)] };
        Assert.That(parameters.ScheduledRateAt(149), Is.EqualTo(0.05).Within(1e-12));
        Assert.That(parameters.ScheduledRateAt(150), Is.EqualTo(0.2).Within(1e-12));
        Assert.That(parameters.ScheduledRateAt(200), Is.EqualTo(0.1).Within(1e-12));
        Assert.That(parameters.LearningRateAt(200), Is.EqualTo(0.4));
    }

    [Test]
    public void Normalized_ResetsWhatIsNotUsed()
    {
        var unused = Usual with { Momentum = 0.9, DecayEvery = 7, DecayFactor = 0.7, PatienceMetric = "accuracy" };
        Assert.That(unused.Normalized(), Is.EqualTo(Usual));
        var used = Usual with { Optimizer = "sgd", Momentum = 0.9, Schedule = "step", DecayEvery = 7, DecayFactor = 0.7, Patience = 2, PatienceMetric = "accuracy" };
        Assert.That(used.Normalized(), Is.EqualTo(used));
        var network = Usual with { Architecture = "resnet18", Layers = 3, Dropout = 0.1, Filters = 5, KernelSize = 5, DenseUnits = 9 };
        Assert.That(network.Normalized(), Is.EqualTo(Usual with { Architecture = "resnet18", Layers = 1 }));
    }
}
