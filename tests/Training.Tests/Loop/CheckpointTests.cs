using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

// They count the process's tensors.
[NonParallelizable]
public sealed class CheckpointTests
{
    private DigitData _digits = null!;
    private string _dataSet = null!;
    private string _checkpoint = null!;

    [SetUp]
    public void CreateCheckpoint()
    {
        _digits = new();
        _dataSet = _digits.Pack();
        _checkpoint = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [10]).Of<CheckpointEvent>().Single().Path;
    }

    [TearDown]
    public void RemoveData() => _digits.Dispose();

    [Test]
    public void Checkpoint_Torn_IsRefused()
    {
        var bytes = File.ReadAllBytes(_checkpoint);
        File.WriteAllBytes(_checkpoint, bytes[..^100]);
        var before = TorchSharp.torch.Tensor.TotalCount;
        Assert.That(Resume, Throws.TypeOf<InvalidDataException>().With.Message.Contains(_checkpoint));
        Assert.That(TorchSharp.torch.Tensor.TotalCount, Is.EqualTo(before), "the failed start left tensors behind");
    }

    [Test]
    public void Checkpoint_WithAnAlteredWeight_IsRefused()
    {
        var bytes = File.ReadAllBytes(_checkpoint);
        bytes[^100] ^= 1;
        File.WriteAllBytes(_checkpoint, bytes);
        Assert.That(Resume, Throws.TypeOf<InvalidDataException>().With.Message.Contains("altered or torn"));
    }

    [Test]
    public void Checkpoint_WithAnAlteredState_IsRefused()
    {
        Rewrite("\\u0022step\\u0022:10", "\\u0022step\\u0022:11");
        Assert.That(Resume, Throws.TypeOf<InvalidDataException>().With.Message.Contains("altered"));
    }

    [Test]
    public void Checkpoint_OfAnotherTraining_IsRefused()
    {
        void Check(string reason, TrajectoryParameters parameters, string data, int milestone) =>
            Assert.That(
                () => Runs.Train(parameters, data, _digits.NewFolder(), [milestone], _checkpoint),
                Throws.TypeOf<InvalidDataException>().With.Message.Contains(reason));

        Check("other parameters", DigitData.Small with { Filters = 5 }, _dataSet, 20);
        Check("other parameters", DigitData.Small with { Optimizer = "sgd" }, _dataSet, 20);
        Check("data set", DigitData.Small, _digits.Pack(hash: "another"), 20);
        Check("beyond the milestone", DigitData.Small, _dataSet, 9);
        _checkpoint = _dataSet;
        Check("no checkpoint", DigitData.Small, _dataSet, 20);
    }

    [Test]
    public void Checkpoint_WithALearningRateThatChangesThere_GoesOn()
    {
        var slower = Runs.Train(ChangingAt(10), _dataSet, _digits.NewFolder(), [20], _checkpoint);
        Assert.That(slower.Results[0].Step, Is.EqualTo(20));
        Assert.That(slower.Results[0].WeightsHash, Is.Not.EqualTo(Resume().Results[0].WeightsHash));
    }

    [Test]
    public void Checkpoint_WithStepsOfAnotherLearningRate_IsRefused()
    {
        foreach (var parameters in new[] { ChangingAt(9), DigitData.Small with { LearningRate = 0.0001 } })
        {
            Assert.That(
                () => Runs.Train(parameters, _dataSet, _digits.NewFolder(), [20], _checkpoint),
                Throws.TypeOf<InvalidDataException>().With.Message.Contains("other learning rates"));
        }
    }

    [Test]
    public void Checkpoint_OfAnotherEngine_GoesOnButIsNotReproducible([Values("processor", "version", "kernels")] string what)
    {
        var state = Read();
        var other = what switch
        {
            "processor" => state.State with { Processor = "Z80 ()" },
            "version" => state.State with { EngineVersion = "0.1" },
            _ => state.State with { Kernels = null },
        };
        Checkpoints.Checkpoint.Write(_checkpoint, other, state.Tensors);
        foreach (var (_, values) in state.Tensors) values.Dispose();

        var resumed = Resume();
        Assert.That(resumed.Of<StartedEvent>().Single().Reproducible, Is.False);
        Assert.That(resumed.Results[0].Reproducible, Is.False);

        // It stays so, whoever goes on from there.
        var further = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [30], resumed.Of<CheckpointEvent>().Last().Path);
        Assert.That(further.Results[0].Reproducible, Is.False);
    }

    [TestCase(50, true)]
    [TestCase(20, false)]
    public void Checkpoint_OfPointsAnotherDistanceApart_GoesOnButIsNotReproducible(int evaluateEvery, bool expected)
    {
        var resumed = Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [20], _checkpoint, evaluateEvery: evaluateEvery);

        Assert.That(resumed.Results[0].Reproducible, Is.EqualTo(expected));
    }

    private static TrajectoryParameters ChangingAt(int step) => DigitData.Small with { LearningRateChanges = [new(step, 0.0001)] };

    private RecordingHost Resume() => Runs.Train(DigitData.Small, _dataSet, _digits.NewFolder(), [20], _checkpoint);

    private (Checkpoints.CheckpointState State, IReadOnlyList<(string Name, TorchSharp.torch.Tensor Values)> Tensors) Read()
    {
        using var file = SafetensorsReader.Open(_checkpoint);
        var tensors = file.Tensors.Select(tensor => (tensor.Name, TorchSharp.torch.zeros([tensor.Shape[0]]))).ToList();
        return (Checkpoints.Checkpoint.Read(_checkpoint, tensors, _ => { }), tensors);
    }

    // Of the same length, as a hand with an editor could.
    private void Rewrite(string from, string to)
    {
        var bytes = File.ReadAllBytes(_checkpoint);
        var place = bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(from));
        Assert.That(place, Is.Positive);
        System.Text.Encoding.UTF8.GetBytes(to).CopyTo(bytes, place);
        File.WriteAllBytes(_checkpoint, bytes);
    }
}
