using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

public sealed class DeterminismTests
{
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

    [TestCase("adam", 0.25, 16)]
    [TestCase("sgd", 0, 4, Description = "without fused blocks")]
    public void Milestones_OfOneTraining_AreThoseOfTrainingsOfTheirOwn(string optimizer, double dropout, int filters)
    {
        var parameters = DigitData.Small with { Filters = filters, Optimizer = optimizer, Momentum = 0.9, WeightDecay = 0.001, Dropout = dropout };
        var shared = Train(parameters, [100, 210, 400]);
        Assert.That(shared.Results, Has.Count.EqualTo(3));
        foreach (var (result, classes) in shared.Results.Zip(shared.Classes))
        {
            var own = Train(parameters, [result.Step]);
            Assert.That(own.Results, Is.EqualTo(new[] { result }));
            Assert.That(own.Classes, Is.EqualTo(new[] { classes }));
            Assert.That(own.Points, Is.EqualTo(shared.Points.Take(own.Points.Count)));
        }
    }

    [TestCase("constant", 0)]
    [TestCase("step", 0)]
    [TestCase("exponential", 0)]
    [TestCase("constant", 70, Description = "still warming up at the first milestone")]
    [TestCase("step", 20)]
    [TestCase("exponential", 70)]
    public void Schedule_OfALongerTraining_GivesTheWeightsOfAShorterOneOnTheWay(string schedule, int warmUpSteps)
    {
        var parameters = DigitData.Small with { Schedule = schedule, DecayEvery = 15, DecayFactor = 0.5, WarmUpSteps = warmUpSteps };
        var longer = Train(parameters, [40, 100]);

        Assert.That(Train(parameters, [40]).Results, Is.EqualTo(longer.Results.Take(1)));
        Assert.That(Train(parameters, [100]).Results, Is.EqualTo(longer.Results.Skip(1)));
        var asUsual = (schedule, warmUpSteps) == ("constant", 0);
        Assert.That(longer.Results[0].WeightsHash == Train(DigitData.Small, [40]).Results[0].WeightsHash, Is.EqualTo(asUsual), "the schedule makes the difference");
    }

    [Test]
    public void Training_StoppedAtAnyStepAndResumed_IsTheUndisturbedOne()
    {
        var undisturbed = Train(DigitData.Small, [200]);
        foreach (var stopAt in new[] { 1, 49, 50, 123, 199 })
        {
            var stopped = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [200], host: StopAtStep(stopAt));
            var checkpoint = stopped.Of<CheckpointEvent>().Single();
            Assert.That(checkpoint.Step, Is.EqualTo(stopped.Of<StoppedEvent>().Single().Step));
            Assert.That(stopped.Results, Is.Empty);

            var resumed = Train(DigitData.Small, [200], checkpoint.Path);
            Assert.That(resumed.Of<StartedEvent>().Single(), Is.EqualTo(resumed.Of<StartedEvent>().Single() with { Step = checkpoint.Step, Reproducible = true }));
            Assert.That(resumed.Results, Is.EqualTo(undisturbed.Results), $"stopped at {checkpoint.Step}");
            Assert.That(resumed.Classes, Is.EqualTo(undisturbed.Classes), $"stopped at {checkpoint.Step}");
            Assert.That(stopped.Points.Concat(resumed.Points), Is.EqualTo(undisturbed.Points), $"stopped at {checkpoint.Step}");
            Assert.That(resumed.Of<MilestoneEvent>().Single().TrainSeconds, Is.GreaterThan(checkpoint.TrainSeconds));
        }
    }

    [Test]
    public void Training_WithAllThatMayChangeOnTheWay_ResumedAtAnyStepIsTheUndisturbedOne()
    {
        var parameters = DigitData.Small with
        {
            Schedule = "exponential", DecayEvery = 40, WarmUpSteps = 60, LearningRateChanges = [new(70, 0.01)],
            AugmentShift = 0.1, AugmentRotate = 10, AugmentScale = 0.1, ClassWeights = "balanced", Patience = 50,
        };
        var undisturbed = Train(parameters, [120]);
        foreach (var stopAt in new[] { 30, 75, 119 })
        {
            var stopped = Runs.Train(parameters, _dataSet, _digits.NewFolder(), [120], host: StopAtStep(stopAt));
            var resumed = Train(parameters, [120], stopped.Of<CheckpointEvent>().Single().Path);
            Assert.That(resumed.Results, Is.EqualTo(undisturbed.Results), $"stopped at {stopAt}");
            Assert.That(stopped.Points.Concat(resumed.Points), Is.EqualTo(undisturbed.Points), $"stopped at {stopAt}");
        }

        // Each of them makes a difference.
        foreach (var without in new[]
        {
            parameters with { Schedule = "constant" }, parameters with { WarmUpSteps = 0 }, parameters with { AugmentShift = 0 },
            parameters with { AugmentRotate = 0 }, parameters with { AugmentScale = 0 },
        })
            Assert.That(Train(without, [20]).Results, Is.Not.EqualTo(Train(parameters, [20]).Results), $"{without}");
    }

    [Test]
    public void Training_ExtendedFromItsLastCheckpoint_IsTheLongerOne()
    {
        var shorter = Train(DigitData.Small, [120]);
        var extended = Train(DigitData.Small, [200], shorter.Of<CheckpointEvent>().Last().Path);
        Assert.That(extended.Results, Is.EqualTo(Train(DigitData.Small, [200]).Results));
    }

    [Test]
    public void LearningRateChanges_FromTheCheckpointOfTheOldRate_AreThoseOfATrainingOfItsOwn()
    {
        var adjusted = DigitData.Small with { LearningRateChanges = [new(70, 0.0001), new(110, 0.01)] };
        var first = Train(DigitData.Small, [70]).Of<CheckpointEvent>().Last();
        var second = Train(adjusted with { LearningRateChanges = [new(70, 0.0001)] }, [110], first.Path).Of<CheckpointEvent>().Last();
        var third = Train(adjusted, [150], second.Path);

        Assert.That((first.Step, second.Step), Is.EqualTo((70, 110)));
        Assert.That(third.Results, Is.EqualTo(Train(adjusted, [150]).Results));
        Assert.That(third.Results, Is.Not.EqualTo(Train(DigitData.Small, [150]).Results));
    }

    [Test]
    public void Milestones_ThatChangeOnTheWay_AreMeasuredAsInTrainingsOfTheirOwn()
    {
        var host = new RecordingHost
        {
            OnAttend = (control, _) =>
            {
                // Passed, present and coming ones; and one that is taken off again.
                if (control.Step == 30) control.Want([20, 30, 40, 90]);
                if (control.Step == 50) control.Want([80]);
            },
        };
        var changed = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [60], host: host);
        Assert.That(changed.Results, Is.EqualTo(Train(DigitData.Small, [40, 80]).Results));
        Assert.That(changed.Of<DoneEvent>().Single().Step, Is.EqualTo(80));
    }

    [Test]
    public void Milestone_AtThePresentStep_IsMeasuredOnce()
    {
        var host = new RecordingHost { OnAttend = (control, _) => control.Want([30, 60]) };
        Assert.That(Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [30], host: host).Results.Select(result => result.Step), Is.EqualTo(new[] { 30, 60 }));
    }

    [Test]
    public void Checkpoints_WrittenOnTheWay_ChangeNothing()
    {
        var often = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [100], checkpointEverySeconds: 1e-9);
        Assert.That(often.Of<CheckpointEvent>().Count(), Is.GreaterThan(90));
        Assert.That(often.Results, Is.EqualTo(Train(DigitData.Small, [100]).Results));
    }

    [Test]
    public void Evaluation_MoreOften_ChangesNoResult()
    {
        var often = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [100], evaluateEvery: 1);
        Assert.That(often.Points, Has.Count.EqualTo(100));
        Assert.That(often.Results, Is.EqualTo(Train(DigitData.Small, [100]).Results));
    }

    [Test]
    public void Seed_WhenAnother_GivesOtherWeights() =>
        Assert.That(
            Train(DigitData.Small with { Seed = 8 }, [20]).Results[0].WeightsHash,
            Is.Not.EqualTo(Train(DigitData.Small, [20]).Results[0].WeightsHash));

    [Test]
    public void Training_OfDigits_Learns()
    {
        var run = Train(DigitData.Small with { Dropout = 0 }, [400]);
        Assert.That(run.Results[0].Accuracy, Is.GreaterThan(0.8));
        Assert.That(run.Results[0].TestAccuracy, Is.GreaterThan(0.7));
        Assert.That(run.Results[0].Loss, Is.LessThan(1));
        Assert.That(run.Results[0].MeanSquaredError, Is.InRange(0, 0.05));
        Assert.That(run.Events[^1], Is.TypeOf<DoneEvent>());
    }

    private RecordingHost Train(TrajectoryParameters parameters, int[] milestones, string? _checkpoint = null) =>
        Runs.Train(parameters, _dataSet, _digits.NewFolder(), milestones, _checkpoint);

    // Boundaries lie before each step and before each batch that is evaluated: here, two batches a point.
    private static RecordingHost StopAtStep(int step) => new()
    {
        OnAttend = (control, boundary) => control.StopRequested |= boundary >= step + (2 * ((step - 1) / 50)),
    };
}
