using System.Runtime.InteropServices;
using System.Security.Cryptography;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Models.Kernels;

/// <summary>The fused blocks against the same network of libtorch's calls.</summary>
public sealed class FusedBlocksTests
{
    private static readonly TrajectoryParameters Parameters = new()
    {
        LearningRate = 0.001, Layers = 1, Filters = 32, KernelSize = 3, DenseUnits = 5, Seed = 4,
    };

    [SetUp]
    public void SkipWhereThereAreNone()
    {
        if (!FusedBlocks.IsSupported || Engine.Device != Engine.Cpu) Assert.Ignore("This processor and device have no fused blocks: libtorch's calls serve.");
    }

    [TestCase(28, 3, 32, 64, "float32", 3)]
    [TestCase(28, 3, 32, 64, "bfloat16", 1, Description = "only the first block is ours in any precision")]
    [TestCase(28, 5, 32, 64, "float32", 0, Description = "other kernels are libtorch's")]
    [TestCase(28, 3, 24, 64, "float32", 0, Description = "two vectors at a time")]
    [TestCase(224, 3, 256, 167, "float32", 4)]
    [TestCase(224, 3, 256, 168, "float32", 0, Description = "more than 2 GiB of activations")]
    [TestCase(3, 3, 32, 64, "float32", 0, Description = "nothing is pooled")]
    public void Create_ForAnyNetwork_TakesThePooledBlocksItCan(int side, int kernelSize, int filters, int batchSize, string precision, int expected)
    {
        var parameters = Parameters with { Layers = 4, KernelSize = kernelSize, Filters = filters, BatchSize = batchSize, Precision = precision };
        var pooled = Enumerable.Range(0, 4).Select(layer => side >> layer >= 4).ToList();
        using var blocks = FusedBlocks.Create(parameters, new(side, side, 3), pooled);
        Assert.That(blocks?.Count ?? 0, Is.EqualTo(expected));
    }

    [TestCase(28, 28, 1, 32, 1)]
    [TestCase(9, 8, 3, 16, 1)]
    [TestCase(5, 4, 1, 16, 1)]
    [TestCase(28, 28, 1, 32, 2)]
    [TestCase(28, 28, 1, 32, 3)]
    [TestCase(12, 19, 2, 48, 2)]
    [TestCase(8, 8, 3, 16, 2)]
    [TestCase(35, 33, 1, 16, 4)]
    [TestCase(8, 8, 1, 256, 3, Description = "sums over the most channels")]
    public void BothWays_OfAnyShape_AreThoseOfLibtorchsCalls(int width, int height, int channels, int filters, int layers)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(width, height, channels);
        var images = Images(5, shape);
        var flat = Weights(filters, channels, layers);
        var theirs = Composed(images, flat.requires_grad_(true), filters, layers);
        var upstream = empty(theirs.shape, ScalarType.Float32);
        _ = random.manual_seed(3);
        using (no_grad()) upstream.uniform_(-1, 1);
        var theirGradient = autograd.grad([Weighted(theirs, upstream)], [flat])[0];

        using var blocks = Create(shape, filters, layers);
        var ours = blocks.Forward(images, flat.detach(), training: true);
        var gradient = zeros(flat.shape, ScalarType.Float32);
        blocks.Backward(images, upstream, gradient);

        Assert.That(ours.shape, Is.EqualTo(theirs.shape));
        AssertClose(Values(ours), Values(theirs));
        Assert.That(Values(ours).Count(value => value > 0), Is.GreaterThan(0).And.LessThan(Values(ours).Length));
        foreach (var (part, theirPart) in Cut(gradient, filters, channels, layers).Zip(Cut(theirGradient, filters, channels, layers)))
            AssertClose(Values(part), Values(theirPart));

        // Other images between, and fewer of them, leave nothing behind.
        _ = blocks.Forward(Images(3, shape, seed: 2), flat.detach(), training: true);
        blocks.Backward(Images(3, shape, seed: 2), upstream.split([3, 2], 0)[0].contiguous(), zeros(flat.shape, ScalarType.Float32));
        var again = zeros(flat.shape, ScalarType.Float32);
        Assert.That(Values(blocks.Forward(images, flat.detach(), training: true)), Is.EqualTo(Values(ours)), "the same bits");
        _ = blocks.Forward(Images(2, shape, seed: 3), flat.detach(), training: false);
        _ = blocks.Forward(images, flat.detach(), training: true);
        blocks.Backward(images, upstream, again);
        Assert.That(Values(again), Is.EqualTo(Values(gradient)), "the same bits");
    }

    /// <summary>With no weight all positions are equal, and what lies below them is not: the weights' gradient tells which one counts, as libtorch's.</summary>
    [TestCase(1)]
    [TestCase(2)]
    public void Backward_OverEqualPositions_CountsTheFirstAsLibtorchDoes(int layers)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(12, 12, 1);
        var images = Images(3, shape);
        var flat = Weights(16, 1, layers);
        using (no_grad())
        {
            var last = Cut(flat, 16, 1, layers);
            last[^2].fill_(0);
            last[^1].fill_(0.5);
        }

        var theirs = Composed(images, flat.requires_grad_(true), 16, layers);
        var upstream = empty(theirs.shape, ScalarType.Float32);
        using (no_grad()) upstream.fill_(1);
        var theirGradient = autograd.grad([Weighted(theirs, upstream)], [flat])[0];

        using var blocks = Create(shape, 16, layers);
        _ = blocks.Forward(images, flat.detach(), training: true);
        var gradient = zeros(flat.shape, ScalarType.Float32);
        blocks.Backward(images, upstream, gradient);
        AssertClose(Values(gradient), Values(theirGradient));
    }

    [TestCase(float.NaN, 1)]
    [TestCase(float.PositiveInfinity, 1)]
    [TestCase(float.NaN, 2)]
    [TestCase(float.PositiveInfinity, 2)]
    [TestCase(float.NegativeInfinity, 2)]
    public void Forward_OfWeightsThatAreNotFinite_SaysSo(float value, int layers)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(8, 8, 1);
        var flat = Weights(16, 1, layers);
        MemoryMarshal.Cast<byte, float>(Cut(flat, 16, 1, layers)[^2].bytes)[4] = value;
        using var blocks = Create(shape, 16, layers);
        var maps = Values(blocks.Forward(Images(1, shape), flat, training: false));
        var filters = layers == 1 ? 16 : 32;
        Assert.That(maps.Where((_, place) => place % filters == 0), Is.All.Matches<float>(map => !float.IsFinite(map)));
        Assert.That(maps.Where((_, place) => place % filters != 0), Is.All.Matches<float>(float.IsFinite));
    }

    /// <summary>An image's maps don't depend on what else is in its batch, though tiles of several images are computed together.</summary>
    [Test]
    public void Forward_OfAnImage_GivesTheSameBitsInAnyBatch()
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(28, 28, 1);
        var flat = Weights(16, 1, 3);
        using var blocks = Create(shape, 16, 3);
        var all = Images(7, shape);
        var together = Values(blocks.Forward(all, flat, training: false));
        var alone = all.split([1, 1, 1, 1, 1, 1, 1], 0).SelectMany(image => Values(blocks.Forward(image.contiguous(), flat, training: false)));
        Assert.That(alone, Is.EqualTo(together));
    }

    /// <summary>
    /// What the blocks compute, bit by bit, is told by the number in <see cref="Engine.Kernels"/>: a change that rounds otherwise has to count it up, or checkpoints
    /// of before would be said to repeat their bits. Then the bits here are those that the test prints.
    /// </summary>
    [Test]
    public void Bits_OfTheBlocks_AreThoseOfTheKernelsNumber()
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(12, 13, 2);
        var flat = zeros([Sizes(16, 2, 3).Sum()], ScalarType.Float32);
        Draw(flat, -0.1f, 0.1f);
        using var blocks = Create(shape, 16, 3);
        var images = empty([5, 13, 12, 2], ScalarType.Byte);
        for (var i = 0; i < images.bytes.Length; i++) images.bytes[i] = (byte)(i * 37);
        var output = blocks.Forward(images, flat, training: true);
        var upstream = zeros(output.shape, ScalarType.Float32);
        Draw(upstream, -1, 1);
        var gradient = zeros(flat.shape, ScalarType.Float32);
        blocks.Backward(images, upstream, gradient);

        var bits = Convert.ToHexStringLower(SHA256.HashData([.. output.detach().bytes, .. gradient.bytes]))[..16];
        Assert.That((Engine.Kernels, bits), Is.EqualTo(("4, fused blocks", "9ad18c8a3d2c20c5")));
    }

    // Exact in float32, whatever library's generator is at hand.
    private static void Draw(Tensor tensor, float from, float to)
    {
        var values = Engine.Floats(tensor);
        var state = 1u;
        foreach (ref var value in values)
        {
            state = (state * 1664525) + 1013904223;
            value = from + ((to - from) * ((state >> 8) / 16777216f));
        }
    }

    private static FusedBlocks Create(ImageShape shape, int filters, int layers)
    {
        var blocks = FusedBlocks.Create(Parameters with { Filters = filters, Layers = layers }, shape, [.. Enumerable.Repeat(true, layers)])!;
        Assert.That(blocks.Count, Is.EqualTo(layers));
        return blocks;
    }

    private static Tensor Composed(Tensor images, Tensor flat, int filters, int layers)
    {
        var channels = (int)images.shape[3];
        var parts = Cut(flat, filters, channels, layers);
        var x = images.to_type(ScalarType.Float32).div_(255).permute(0, 3, 1, 2);
        for (var layer = 0; layer < layers; layer++)
        {
            x = functional.conv2d(x, parts[2 * layer].permute(0, 3, 1, 2), parts[(2 * layer) + 1], [1, 1], [1, 1]);
            x = functional.max_pool2d(x, [2, 2], [2, 2]).relu();
        }

        return x.permute(0, 2, 3, 1).contiguous();
    }

    // Each block's weights [filters, 3, 3, channels] and biases.
    private static List<Tensor> Cut(Tensor flat, int filters, int channels, int layers)
    {
        var pieces = flat.split(Sizes(filters, channels, layers), 0);
        var parts = new List<Tensor>();
        for (var layer = 0; layer < layers; layer++)
        {
            long[] shape = [layer == 0 ? filters : 2 * filters, 3, 3, layer switch { 0 => channels, 1 => filters, _ => 2 * filters }];
            parts.Add(pieces[2 * layer].view(shape));
            parts.Add(pieces[(2 * layer) + 1]);
        }

        return parts;
    }

    private static long[] Sizes(int filters, int channels, int layers) =>
    [
        .. Enumerable.Range(0, layers).SelectMany(layer =>
        {
            var (into, from) = (layer == 0 ? filters : 2 * filters, layer switch { 0 => channels, 1 => filters, _ => 2 * filters });
            return new long[] { into * 9L * from, into };
        }),
    ];

    private static Tensor Weighted(Tensor output, Tensor upstream) =>
        functional.linear(output.reshape([1, -1]), upstream.reshape([1, -1]));

    private static Tensor Weights(int filters, int channels, int layers)
    {
        _ = random.manual_seed(7);
        var flat = empty([Sizes(filters, channels, layers).Sum()], ScalarType.Float32);
        return flat.uniform_(-0.1, 0.1);
    }

    private static Tensor Images(int count, ImageShape shape, int seed = 1)
    {
        var images = empty([count, shape.Height, shape.Width, shape.Channels], ScalarType.Byte);
        new Random(seed).NextBytes(images.bytes);
        return images;
    }

    // In hundred-thousandths of the largest: sums of thousands of products, rounded in another order.
    private static void AssertClose(float[] ours, float[] theirs)
    {
        var tolerance = 1e-5 * Math.Max(theirs.Max(Math.Abs), 1e-3);
        Assert.That(ours, Is.EqualTo(theirs).Within(tolerance));
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().contiguous().bytes).ToArray();
}
