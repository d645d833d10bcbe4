using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Loop;

[NonParallelizable]
public sealed class LeakTests
{
    [TestCase(1, 1, Description = "libtorch's calls")]
    [TestCase(16, 1, Description = "a fused block")]
    [TestCase(16, 2, Description = "fused blocks of both kinds")]
    public void Training_Over10000Steps_KeepsItsTensorsAndMemory(int filters, int layers)
    {
        using var digits = new DigitData();
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = layers, BatchSize = 4, Filters = filters, DenseUnits = 4, Dropout = 0.5 };
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

    /// <summary>A trainer goes from training to training: what the fused blocks keep in memory of their own goes with each.</summary>
    [Test]
    public void Networks_MadeAndDisposedOf_LeaveNoMemory()
    {
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = 2, BatchSize = 32, Filters = 64, DenseUnits = 1 };
        var shape = new ImageShape(64, 64, 1);
        var memory = new List<long>();
        for (var turn = 0; turn < 12; turn++)
        {
            using var scope = NewDisposeScope();
            using var network = new Cnn(parameters, shape, 2);
            // Some 20 MiB of maps between the blocks, and their gradient.
            _ = network.Train(zeros([32, 64, 64, 1], ScalarType.Byte), 1, logits => functional.cross_entropy(logits, zeros([32], ScalarType.Int64)));
            memory.Add(ProcessMemory.Resident);
        }

        Assert.That(memory[^1] - memory[3], Is.LessThan(60L << 20), "resident bytes grew over eight networks");
    }
}
