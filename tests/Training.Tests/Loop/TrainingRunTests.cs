using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

public sealed class TrainingRunTests
{
    private DigitData _digits = null!;

    [SetUp]
    public void CreateData() => _digits = new();

    [TearDown]
    public void RemoveData() => _digits.Dispose();

    [Test]
    public void Training_ThatDiverges_ReportsAllMilestonesAtOnce()
    {
        // Each step turns the weights into -9 times themselves.
        var parameters = DigitData.Small with { LearningRate = 10, Optimizer = "sgd", WeightDecay = 1 };
        var dataSet = _digits.Pack();
        var run = Runs.Train(parameters, dataSet, _digits.NewFolder(), [1000, 2000, 4000]);
        Assert.That(run.Results.Select(result => result.Step), Is.EqualTo(new[] { 1000, 2000, 4000 }));
        Assert.That(run.Results, Has.All.Matches<MilestoneEvent>(result => result.Diverged && result.Accuracy is >= 0 and <= 1));
        var done = run.Of<DoneEvent>().Single();
        Assert.That(done.Step, Is.LessThan(1000));

        // The same for one of them alone, and going on from its checkpoint.
        Assert.That(Runs.Train(parameters, dataSet, _digits.NewFolder(), [2000]).Results, Is.EqualTo(new[] { run.Results[1] }));
        var checkpoint = run.Of<CheckpointEvent>().Last().Path;
        var longer = Runs.Train(parameters, dataSet, _digits.NewFolder(), [8000], checkpoint);
        Assert.That(longer.Results, Is.EqualTo(new[] { run.Results[2] with { Step = 8000 } }));
    }

    [Test]
    public void Milestone_WhenDropped_IsNotMeasured()
    {
        var host = new RecordingHost { OnAttend = (control, boundary) => { if (boundary == 20) control.Milestones.Remove(60); } };
        var run = Runs.Train(DigitData.Small, _digits.Pack(), _digits.NewFolder(), [10, 40, 60], host: host);
        Assert.That(run.Results.Select(result => result.Step), Is.EqualTo(new[] { 10, 40 }));
        Assert.That(run.Of<DoneEvent>().Single().Step, Is.EqualTo(40));
    }

    [Test]
    public void Milestones_WhenAllAreDropped_LeaveACheckpoint()
    {
        var host = new RecordingHost { OnAttend = (control, boundary) => { if (boundary == 20) control.Milestones.Clear(); } };
        var run = Runs.Train(DigitData.Small, _digits.Pack(), _digits.NewFolder(), [60], host: host);
        Assert.That(run.Of<StoppedEvent>().Single().Step, Is.EqualTo(20));
        Assert.That(run.Of<CheckpointEvent>().Single().Step, Is.EqualTo(20));
        Assert.That(run.Results, Is.Empty);
    }

    [Test]
    public void Training_WhenAbandoned_LeavesNothing()
    {
        var output = _digits.NewFolder();
        Runs.Train(DigitData.Small, _digits.Pack(), output, [60], host: new() { OnAttend = (control, boundary) => control.Abandoned = boundary == 20 });
        Assert.That(Directory.GetFiles(output), Is.Empty);
    }

    [Test]
    public void Measurement_OfManyBatches_ReportsProgress()
    {
        // 150 images of 28 x 28 are measured in three batches.
        var run = Runs.Train(DigitData.Small, _digits.Pack(validation: 150, test: 0), _digits.NewFolder(), [1], progressInterval: TimeSpan.Zero);
        var progress = run.Events.TakeWhile(happened => happened is not MilestoneEvent).OfType<ProgressEvent>().ToList();
        Assert.That(progress, Has.Count.EqualTo(4));
        Assert.That(progress.Select(point => (point.Step, point.Loss, point.StepsPerSecond)), Is.All.EqualTo((1, progress[0].Loss, progress[0].StepsPerSecond)));
        Assert.That(progress[0].StepsPerSecond, Is.Positive);
    }

    [Test]
    public void Batches_OfAnEpoch_TakeEachImageOnce()
    {
        using var data = PackedDataSet.Open(_digits.Pack(train: 50, validation: 10, test: 0));
        var batches = new MlExperiments.Training.Data.Batches(data, DigitData.Small with { BatchSize = 16 });
        Assert.That(batches.StepsPerEpoch, Is.EqualTo(4));
        var first = Enumerable.Range(0, 4).SelectMany(step => batches.Rows(step).ToArray()).ToArray();
        var second = Enumerable.Range(4, 4).SelectMany(step => batches.Rows(step).ToArray()).ToArray();
        Assert.That(first, Is.EquivalentTo(Enumerable.Range(0, 50)));
        Assert.That(second, Is.EquivalentTo(Enumerable.Range(0, 50)));
        Assert.That(second, Is.Not.EqualTo(first));
    }

    [Test]
    public void Command_ThatCannotBeCarriedOut_IsRefusedWithAReason()
    {
        var dataSet = _digits.Pack();
        var output = _digits.NewFolder();
        void Check(string reason, TrajectoryParameters parameters, string data, string folder, int[] milestones) =>
            Assert.That(() => Runs.Train(parameters, data, folder, milestones), Throws.InstanceOf<Exception>().With.Message.Contains(reason));

        Check("learningRate", DigitData.Small with { LearningRate = 0 }, dataSet, output, [1]);
        Check("optimizer", DigitData.Small with { Optimizer = "lion" }, dataSet, output, [1]);
        Check("milestone", DigitData.Small, dataSet, output, []);
        Check("Milestones", DigitData.Small, dataSet, output, [0]);
        Check("no output folder", DigitData.Small, dataSet, Path.Combine(output, "none"), [1]);
        Check("validation images", DigitData.Small, _digits.Pack(validation: 0), output, [1]);
        Check("none.safetensors", DigitData.Small, Path.Combine(output, "none.safetensors"), output, [1]);
    }
}
