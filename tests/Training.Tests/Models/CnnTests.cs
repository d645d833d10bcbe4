using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Models;
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
        Assert.That(Values(network.Forward(image)), Is.EqualTo(PlainNetwork.Logits(path, pixels, Shape, pools: [true, true])).Within(1e-4));
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
        TrainingPass Train() => network.Train(images, 11, logits => functional.cross_entropy(logits, labels));

        var gradient = Values(Train().Gradient);
        var direction = gradient.Select(value => value / MathF.Sqrt(gradient.Sum(g => g * g))).ToArray();
        double LossAt(float distance)
        {
            var before = Values(network.Flat);
            MemoryMarshal.Cast<float, byte>(before.Zip(direction, (value, d) => value + (distance * d)).ToArray()).CopyTo(network.Flat.detach().bytes);
            var loss = MemoryMarshal.Read<float>(Train().Loss.detach().bytes);
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

    /// <summary>The smallest and the largest images, and the narrowest: each way of computing gives what the other gives.</summary>
    [TestCase(8, 8, 1, 8, 64)]
    [TestCase(8, 8, 3, 3, 64)]
    [TestCase(224, 224, 3, 4, 64)]
    [TestCase(224, 8, 1, 4, 64)]
    [TestCase(28, 28, 1, 2, 20, Description = "the dense layer is libtorch's")]
    [TestCase(28, 28, 1, 4, 20, Description = "and the last block")]
    public void Train_AtTheEdgesOfSize_IsTheSameByOurKernelsAndByLibtorch(int width, int height, int channels, int layers, int denseUnits)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(width, height, channels);
        var parameters = Parameters with { Filters = 16, DenseUnits = denseUnits, Layers = layers };
        using var network = new Cnn(parameters, shape, 4);
        // The same weights in kernels that no block is fused for: with zeros around each.
        using var wide = new Cnn(parameters with { KernelSize = 5 }, shape, 4);
        var places = PlacesIn(wide, network).ToList();
        var weights = new float[wide.Flat.shape[0]];
        foreach (var (place, weight) in places.Zip(Values(network.Flat))) weights[place] = weight;
        MemoryMarshal.Cast<float, byte>(weights).CopyTo(wide.Flat.detach().bytes);
        var images = empty([3, height, width, channels], ScalarType.Byte);
        new Random(6).NextBytes(images.bytes);
        var labels = zeros([3], ScalarType.Int64);
        var ours = network.Train(images, 3, logits => functional.cross_entropy(logits, labels));
        var theirs = wide.Train(images, 3, logits => functional.cross_entropy(logits, labels));
        Assert.That(Values(ours.Logits), Is.EqualTo(Values(theirs.Logits)).Within(1e-5));
        Assert.That(Values(ours.Logits).Distinct().Count(), Is.EqualTo(12), "the logits tell images and classes apart");
        var gradient = Values(ours.Gradient);
        var theirGradient = Values(theirs.Gradient);
        Assert.That(gradient, Is.EqualTo(places.Select(place => theirGradient[place])).Within(1e-4 * gradient.Max(Math.Abs)));
        Assert.That(Values(network.Forward(images)), Is.EqualTo(Values(wide.Forward(images))).Within(1e-5));
    }

    // Where in a network of 5x5 kernels each weight of one of 3x3 kernels is: in the kernels' middle.
    private static IEnumerable<int> PlacesIn(Network wide, Network narrow)
    {
        var first = 0;
        foreach (var (part, widePart) in narrow.Parts.Zip(wide.Parts))
        {
            for (var place = 0; place < part.Size; place++)
            {
                if (part.Shape is not [_, 3, 3, var channels] || !part.Name.StartsWith("conv", StringComparison.Ordinal))
                {
                    yield return first + place;
                    continue;
                }

                var (pixel, channel) = Math.DivRem(place, (int)channels);
                var (filter, tap) = Math.DivRem(pixel, 9);
                yield return first + (((filter * 25) + ((1 + (tap / 3)) * 5) + 1 + (tap % 3)) * (int)channels) + channel;
            }

            first += (int)widePart.Size;
        }
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().bytes).ToArray();
}
