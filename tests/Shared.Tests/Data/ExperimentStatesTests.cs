using MlExperiments.Shared.Data;

namespace MlExperiments.Shared.Tests.Data;

[TestFixture]
public sealed class ExperimentStatesTests
{
    [TestCase(ExperimentStatus.Draft, ExperimentStatus.Queued)]
    [TestCase(ExperimentStatus.Queued, ExperimentStatus.Running)]
    [TestCase(ExperimentStatus.Running, ExperimentStatus.Completed)]
    [TestCase(ExperimentStatus.Running, ExperimentStatus.Queued)]
    [TestCase(ExperimentStatus.Paused, ExperimentStatus.Queued)]
    [TestCase(ExperimentStatus.Failed, ExperimentStatus.Queued)]
    public void Change_ThatTheLifeNeeds_IsAllowed(ExperimentStatus from, ExperimentStatus to) =>
        Assert.That(from.CanBecome(to), Is.True);

    [Test]
    public void Completed_IsNeverLeft() =>
        Assert.That(Enum.GetValues<ExperimentStatus>().Where(to => ExperimentStatus.Completed.CanBecome(to)), Is.Empty);

    [Test]
    public void Completed_IsReachedFromRunningOnly() =>
        Assert.That(ExperimentStates.Before(ExperimentStatus.Completed), Is.EqualTo(new[] { ExperimentStatus.Running }));

    [Test]
    public void Draft_IsNeverReachedAgain() => Assert.That(ExperimentStates.Before(ExperimentStatus.Draft), Is.Empty);
}
