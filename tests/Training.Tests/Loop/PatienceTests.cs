using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

public sealed class PatienceTests
{
    // A rate at which the validation loss soon goes up and down.
    private static readonly TrajectoryParameters Parameters = DigitData.Small with { LearningRate = 0.03, Patience = 3 };

    private DigitData _digits = null!;
    private string _dataSet = null!;

    [OneTimeSetUp]
    public void CreateData()
    {
        _digits = new();
        _dataSet = _digits.Pack();
    }

    [OneTimeTearDown]
    public void RemoveData() => _digits.Dispose();

    [TestCase("loss", new[] { 3, 2, 2, 1, 2, 4, 1 }, 7)]
    [TestCase("loss", new[] { 3, 4, 5, 2, 6, 6, 1 }, null)]
    [TestCase("accuracy", new[] { 1, 2, 2, 2, 2 }, 5)]
    [TestCase("accuracy", new[] { 5, 4, 3, 2 }, 4)]
    public void Patience_AfterThreePointsThatAreNoBetter_HasRunOut(string metric, int[] points, int? end)
    {
        var patience = new Patience(Parameters with { PatienceMetric = metric });
        var ends = new List<int>();
        for (var i = 0; i < points.Length; i++)
        {
            patience.Add(metric == "loss" ? new(0, points[i], 0) : new(points[i] / 10.0, 0, 0));
            if (patience.HasRunOut) ends.Add(i + 1);
        }

        Assert.That(ends.Count == 0 ? (int?)null : ends[0], Is.EqualTo(end));
    }

    [Test]
    public void Patience_OfZero_NeverRunsOut()
    {
        var patience = new Patience(Parameters with { Patience = 0 });
        for (var i = 0; i < 100; i++) patience.Add(new(0, i, 0));
        Assert.That(patience.HasRunOut, Is.False);
    }

    [Test]
    public void Training_ThatGetsNoBetter_EndsAtTheSameStepWhateverItsMilestones()
    {
        var run = Train([100, 4000, 9000]);
        var end = run.Of<DoneEvent>().Single().Step;
        Assert.That(end, Is.InRange(200, 3999).And.EqualTo(run.Of<MetricsEvent>().Last().Step));
        var losses = run.Of<MetricsEvent>().Select(point => point.Values["validationLoss"]).ToList();
        Assert.That(losses[^4], Is.LessThan(losses[^3..].Min()).And.EqualTo(losses.Min()), "three points are no better than the best one");

        Assert.That(
            run.Results.Select(result => (result.Step, result.StoppedEarly, result.EndedAtStep, result.Diverged)),
            Is.EqualTo(new[] { (100, false, (int?)null, false), (4000, true, end, false), (9000, true, end, false) }));
        Assert.That(Train([9000]).Results, Is.EqualTo(new[] { run.Results[2] }));
        Assert.That(Train([end]).Results.Single(), Is.EqualTo(run.Results[1] with { Step = end, StoppedEarly = false, EndedAtStep = null }));

        Assert.That(
            run.Of<MilestoneEvent>().Select(result => WeightsFile.ReadInfo(result.Weights)).Select(info => (info.Step, info.EndedAtStep)),
            Is.EqualTo(new[] { (100, (int?)null), (4000, end), (9000, end) }));

        // Going on from where it ended.
        var longer = Train([9999], run.Of<CheckpointEvent>().Last().Path);
        Assert.That(longer.Results, Is.EqualTo(new[] { run.Results[2] with { Step = 9999 } }));
    }

    [Test]
    public void Training_ResumedWhileItWaits_EndsAtTheSameStep()
    {
        var undisturbed = Train([4000]);
        var end = undisturbed.Of<DoneEvent>().Single().Step;
        foreach (var stopAt in new[] { end - 50, end - 1, end })
        {
            var host = new RecordingHost { OnAttend = (control, _) => control.StopRequested |= control.Step == stopAt };
            var stopped = Runs.Train(Parameters, _dataSet, _digits.NewFolder(), [4000], host: host);
            var resumed = Train([4000], stopped.Of<CheckpointEvent>().Last().Path);
            Assert.That(resumed.Results, Is.EqualTo(undisturbed.Results), $"stopped at {stopAt}");
        }
    }

    private RecordingHost Train(int[] milestones, string? checkpoint = null) => Runs.Train(Parameters, _dataSet, _digits.NewFolder(), milestones, checkpoint);
}
