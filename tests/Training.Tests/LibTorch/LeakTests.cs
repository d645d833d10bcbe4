using MlExperiments.Shared.Contracts;
using MlExperiments.Testing;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.LibTorch;

[NonParallelizable]
public sealed class LeakTests
{
    [TestCase(1, Description = "libtorch's calls")]
    [TestCase(16, Description = "the fused first block")]
    public void Training_Over10000Steps_KeepsItsTensorsAndMemory(int filters)
    {
        using var digits = new DigitData();
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = 1, BatchSize = 4, Filters = filters, DenseUnits = 4, Dropout = 0.5 };
        var before = Tensor.TotalCount;
        var (tensors, memory) = (new HashSet<long>(), new List<long>());
        var host = new RecordingHost
        {
            OnAttend = (_, boundary) =>
            {
                tensors.Add(Tensor.TotalCount);
                if (boundary % 2000 == 1999) memory.Add(ProcessMemory.Resident);
            },
        };
        Runs.Train(parameters, digits.Pack(100, 10, 0), digits.NewFolder(), [10_000], host: host, evaluateEvery: 1_000_000);

        Assert.That(tensors, Has.Count.EqualTo(1), "the number of live tensors changed from step to step");
        Assert.That(Tensor.TotalCount, Is.EqualTo(before), "the training left tensors behind");
        Assert.That(memory[^1] - memory[0], Is.LessThan(20L << 20), "resident bytes grew over 8,000 steps");
    }
}
