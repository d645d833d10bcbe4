using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Models;

public sealed class PrecisionTests
{
    /// <summary>8 bits of precision: 2^-9 of a value for each rounding, and a few roundings one after another.</summary>
    private const double Roundings = 0.03;

    /// <summary>Far more than sums of float32 in another order differ by.</summary>
    private const double Noise = 3e-4;

    [TestCase("cnn")]
    [TestCase("resnet18")]
    public void Bfloat16_OfTheSameWeights_IsNearFloat32AndNotTheSame(string architecture)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(16, 16, 1);
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = 3, Architecture = architecture, Dropout = 0 };
        var images = empty([8, 16, 16, 1], ScalarType.Byte);
        new Random(5).NextBytes(images.bytes);
        var labels = zeros([8], ScalarType.Int64);
        using var network = Network.Create(parameters, shape, 3);
        using var half = Network.Create(parameters with { Precision = "bfloat16" }, shape, 3);
        Assert.That(Values(half.Flat), Is.EqualTo(Values(network.Flat)));

        var full = network.Train(images, 1, logits => functional.cross_entropy(logits, labels));
        var rounded = half.Train(images, 1, logits => functional.cross_entropy(logits, labels));
        Assert.That(Distance(Values(full.Logits), Values(rounded.Logits)), Is.GreaterThan(Noise).And.LessThan(Roundings));
        Assert.That(Distance(Values(full.Gradient), Values(rounded.Gradient)), Is.GreaterThan(Noise).And.LessThan(10 * Roundings));
    }

    [Test]
    public void Training_InBfloat16_LearnsAndGivesTheSameBitsAgain()
    {
        using var digits = new DigitData();
        var dataSet = digits.Pack();
        var parameters = DigitData.Small with { Precision = "bfloat16" };
        var once = Runs.Train(parameters, dataSet, digits.NewFolder(), [200]);
        var again = Runs.Train(parameters, dataSet, digits.NewFolder(), [200]);
        var inFloat32 = Runs.Train(parameters with { Precision = "float32" }, dataSet, digits.NewFolder(), [200]);
        Assert.That(again.Results, Is.EqualTo(once.Results));
        Assert.That(once.Results[0].WeightsHash, Is.Not.EqualTo(inFloat32.Results[0].WeightsHash));
        Assert.That(once.Results[0].Accuracy, Is.EqualTo(inFloat32.Results[0].Accuracy).Within(0.1).And.GreaterThan(0.6));
    }

    /// <summary>Of the difference, relative to the values.</summary>
    private static double Distance(float[] values, float[] others) =>
        Math.Sqrt(values.Zip(others, (value, other) => (double)(value - other) * (value - other)).Sum() / values.Sum(value => (double)value * value));

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().contiguous().bytes).ToArray();
}
