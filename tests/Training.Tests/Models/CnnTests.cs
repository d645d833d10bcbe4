using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Models;
using MlExperiments.Training.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Models;

public sealed class CnnTests
{
    private static readonly ImageShape Shape = new(9, 8, 3);

    private static readonly TrajectoryParameters Parameters = new()
    {
        LearningRate = 0.001, Layers = 2, Filters = 3, KernelSize = 3, DenseUnits = 5, Dropout = 0.5, Seed = 4,
    };

    private TemporaryFolder _files = null!;

    [SetUp]
    public void CreateFolder() => _files = new();

    [TearDown]
    public void RemoveFolder() => _files.Dispose();

    [Test]
    public void Parts_OfTheClassicNetwork_AreThoseOfPyTorch()
    {
        using var network = new Cnn(new() { LearningRate = 0.001, Layers = 2 }, DigitPainter.Shape, 10);
        Assert.That(
            network.Parts.Select(part => $"{part.Name} [{string.Join(", ", part.Published)}]"),
            Is.EqualTo(new[]
            {
                "conv1.weight [32, 1, 3, 3]", "conv1.bias [32]", "conv2.weight [64, 32, 3, 3]", "conv2.bias [64]",
                "dense1.weight [128, 3136]", "dense1.bias [128]", "dense2.weight [10, 128]", "dense2.bias [10]",
            }));
    }

    [TestCase(28, 4, 3 * 3)]
    [TestCase(28, 8, 3 * 3)]
    [TestCase(8, 2, 2 * 2)]
    public void Pooling_AsLayersAreAdded_StopsAtASideOf3(int side, int layers, int pixels)
    {
        using var network = new Cnn(new() { LearningRate = 0.001, Layers = layers, Filters = 1 }, new(side, side, 1), 2);
        Assert.That(network.Parts.Single(part => part.Name == "dense1.weight").Published[1], Is.EqualTo(2 * pixels));
    }

    [Test]
    public void FirstWeights_OfASeed_AreWithinPyTorchsBounds()
    {
        using var network = new Cnn(Parameters, Shape, 2);
        using var again = new Cnn(Parameters, Shape, 2);
        using var other = new Cnn(Parameters with { Seed = 5 }, Shape, 2);
        Assert.That(Values(network.Flat), Is.EqualTo(Values(again.Flat)));
        Assert.That(Values(network.Flat), Is.Not.EqualTo(Values(other.Flat)));

        var values = Values(network.Flat).AsSpan();
        foreach (var part in network.Parts)
        {
            var bound = 1 / MathF.Sqrt(part.FanIn);
            var own = values[..(int)part.Size].ToArray();
            Assert.That(own, Is.All.InRange(-bound, bound), part.Name);
            if (own.Length > 40) Assert.That(own.Max() - own.Min(), Is.GreaterThan(1.6f * bound), part.Name);
            values = values[own.Length..];
        }
    }

    [Test]
    public void Forward_WithPublishedWeights_IsThePlainNetworkOfPyTorchsLayout()
    {
        using var scope = NewDisposeScope();
        using var network = new Cnn(Parameters, Shape, 4);
        var pixels = new byte[Shape.Size];
        new Random(1).NextBytes(pixels);
        var image = empty([1, Shape.Height, Shape.Width, Shape.Channels], ScalarType.Byte);
        pixels.CopyTo(image.bytes);

        var path = Path.Combine(_files.Path, "w.safetensors");
        WeightsFile.Write(path, network, new(Parameters, Shape, ["a", "b", "c", "d"], "hash", 1, 0.5));
        Assert.That(Values(network.Forward(image, null)), Is.EqualTo(PlainNetwork.Logits(path, pixels, Shape, pools: [true, true])).Within(1e-4));
    }

    [Test]
    public void Weights_WrittenAndRead_AreTheSameBits()
    {
        using var network = new Cnn(Parameters, Shape, 4);
        var path = Path.Combine(_files.Path, "w.safetensors");
        var info = new WeightsInfo(Parameters, Shape, ["a", "b", "c", "d"], "hash", 12, 0.1 + 0.2);
        var hash = WeightsFile.Write(path, network, info);
        var (read, readInfo) = WeightsFile.Read(path);
        using (read)
        {
            Assert.That(Values(read.Flat), Is.EqualTo(Values(network.Flat)));
            Assert.That(readInfo with { Classes = info.Classes }, Is.EqualTo(info));
            Assert.That(WeightsFile.Write(path, read, info), Is.EqualTo(hash));
        }
    }

    [Test]
    public void Weights_OfWhatTheFileDoesNotHold_AreRefusedBeforeTheyAreAllocated()
    {
        using var network = new Cnn(Parameters, Shape, 4);
        var path = Path.Combine(_files.Path, "w.safetensors");
        var info = new WeightsInfo(Parameters, Shape, ["a", "b", "c", "d"], "hash", 1, 0.5);
        void Check(WeightsInfo other, string reason)
        {
            WeightsFile.Write(path, network, other);
            Assert.That(() => WeightsFile.Read(path), Throws.TypeOf<InvalidDataException>().With.Message.Contains(path).And.Message.Contains(reason));
        }

        Check(info with { Shape = new(224, 224, 3) }, "'dense1.weight' doesn't fit");
        Check(info with { Shape = new(int.MaxValue, int.MaxValue, 3) }, "can't be classified");
        Check(info with { Shape = new(9, 8, 2) }, "can't be classified");
        Check(info with { Classes = ["a", "b"] }, "'dense2.weight' doesn't fit");
        Check(info with { Classes = [] }, "classes");
        Check(info with { Parameters = Parameters with { Layers = 3 } }, "conv3");
    }

    [Test]
    public void Network_OfMoreThanAGibibyte_IsRefusedWithWhatToLower()
    {
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = 1, DenseUnits = 4096, Filters = 256 };
        var before = Tensor.TotalCount;
        Assert.That(
            () => new Cnn(parameters, new(224, 224, 3), 10),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("50,176 MiB").And.Message.Contains("Lower denseUnits (4096) or filters (256)"));
        Assert.That(Tensor.TotalCount, Is.EqualTo(before));
    }

    [TestCase(3, Description = "libtorch's calls")]
    [TestCase(16, Description = "fused blocks")]
    public void Gradient_OfTheLoss_MatchesFiniteDifferences(int filters)
    {
        using var scope = NewDisposeScope();
        using var network = new Cnn(Parameters with { Filters = filters }, Shape, 4);
        var images = empty([6, Shape.Height, Shape.Width, Shape.Channels], ScalarType.Byte);
        new Random(2).NextBytes(images.bytes);
        var labels = zeros([6], ScalarType.Int64);
        Tensor Loss() => functional.cross_entropy(network.Forward(images, 11), labels);

        var gradient = Values(network.GradientOf(Loss()));
        var direction = gradient.Select(value => value / MathF.Sqrt(gradient.Sum(g => g * g))).ToArray();
        double LossAt(float distance)
        {
            using var withoutGradient = no_grad();
            var before = Values(network.Flat);
            MemoryMarshal.Cast<float, byte>(before.Zip(direction, (value, d) => value + (distance * d)).ToArray()).CopyTo(network.Flat.detach().bytes);
            var loss = MemoryMarshal.Read<float>(Loss().bytes);
            MemoryMarshal.Cast<float, byte>(before).CopyTo(network.Flat.detach().bytes);
            return loss;
        }

        // Along its own direction, the gradient's slope is its length.
        const float Distance = 0.005f;
        var slope = (LossAt(Distance) - LossAt(-Distance)) / (2 * Distance);
        Assert.That(slope, Is.EqualTo(Math.Sqrt(gradient.Sum(g => g * g))).Within(1).Percent);

        // The first block's own share: along the first weights and biases alone.
        var own = filters * ((9 * Shape.Channels) + 1);
        Array.Clear(direction, own, direction.Length - own);
        slope = (LossAt(Distance) - LossAt(-Distance)) / (2 * Distance);
        Assert.That(slope, Is.EqualTo(gradient.Zip(direction, (g, d) => (double)g * d).Sum()).Within(2).Percent);
    }

    [Test]
    public void GradientOf_WithoutAPassOfTraining_IsRefused()
    {
        if (!FusedBlocks.IsSupported || Engine.Device != Engine.Cpu) Assert.Ignore("Only fused blocks have a backward pass of their own.");
        using var scope = NewDisposeScope();
        using var network = new Cnn(Parameters with { Filters = 16 }, Shape, 4);
        var images = zeros([1, Shape.Height, Shape.Width, Shape.Channels], ScalarType.Byte);
        Tensor Loss(long? seed) => functional.cross_entropy(network.Forward(images, seed), zeros([1], ScalarType.Int64));
        var loss = Loss(1);
        Assert.That(() => network.GradientOf(loss), Throws.Nothing);
        Assert.That(() => network.GradientOf(loss), Throws.InvalidOperationException);
        loss = Loss(1);
        _ = Loss(null);
        Assert.That(() => network.GradientOf(loss), Throws.InvalidOperationException, "what the blocks keep is of the pass that only looked");
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().bytes).ToArray();
}
