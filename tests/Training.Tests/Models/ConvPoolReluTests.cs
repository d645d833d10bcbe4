using System.Runtime.InteropServices;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Models;

public sealed class ConvPoolReluTests
{
    [SetUp]
    public void SkipWhereThereIsNone()
    {
        if (!ConvPoolRelu.Serves(new(28, 28, 1), kernelSize: 3, filters: 32, batchSize: 64))
            Assert.Ignore("This processor and device have no fused block: libtorch's calls serve.");
    }

    [TestCase(28, 3, 32, 64, true)]
    [TestCase(28, 5, 32, 64, false, Description = "other kernels are libtorch's")]
    [TestCase(28, 3, 24, 64, false, Description = "two vectors at a time")]
    [TestCase(224, 3, 256, 167, true)]
    [TestCase(224, 3, 256, 168, false, Description = "more than 2 GiB of activations")]
    public void Serves_WhatItCan_AndNoMore(int side, int kernelSize, int filters, int batchSize, bool expected) =>
        Assert.That(ConvPoolRelu.Serves(new(side, side, 3), kernelSize, filters, batchSize), Is.EqualTo(expected));

    [TestCase(28, 28, 1, 32)]
    [TestCase(9, 8, 3, 16)]
    [TestCase(8, 11, 2, 48)]
    [TestCase(5, 4, 1, 16)]
    public void BothWays_OfAnyShape_AreThoseOfLibtorchsCalls(int width, int height, int channels, int filters)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(width, height, channels);
        var images = Images(5, shape);
        var flat = Parameters(filters, channels);
        var theirs = Composed(images, flat.requires_grad_(true), filters, channels);
        var upstream = empty(theirs.shape, ScalarType.Float32);
        _ = random.manual_seed(3);
        using (no_grad()) upstream.uniform_(-1, 1);
        var theirGradient = autograd.grad([Weighted(theirs, upstream)], [flat])[0];

        var block = new ConvPoolRelu(shape, filters);
        var ours = block.Forward(images, flat.detach(), training: true);
        var gradient = zeros(flat.shape, ScalarType.Float32);
        block.Backward(images, upstream, gradient);

        Assert.That(ours.shape, Is.EqualTo(theirs.shape));
        Assert.That(Values(ours), Is.EqualTo(Values(theirs)).Within(1e-5));
        Assert.That(Values(ours).Count(value => value > 0), Is.GreaterThan(0).And.LessThan(Values(ours).Length));
        Assert.That(Values(gradient), Is.EqualTo(Values(theirGradient)).Within(1e-3));

        var again = zeros(flat.shape, ScalarType.Float32);
        Assert.That(Values(block.Forward(images, flat.detach(), training: true)), Is.EqualTo(Values(ours)));
        block.Backward(images, upstream, again);
        Assert.That(Values(again), Is.EqualTo(Values(gradient)), "the same bits");
    }

    /// <summary>With no weight all positions are equal, and their pixels are not: the weights' gradient tells which one counts, as libtorch's.</summary>
    [Test]
    public void Backward_OverEqualPositions_CountsTheFirstAsLibtorchDoes()
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(12, 12, 1);
        var images = Images(3, shape);
        var flat = Parameters(16, 1);
        using (no_grad())
        {
            flat.fill_(0);
            flat.split([16 * 9, 16], 0)[1].fill_(0.5);
        }

        var theirs = Composed(images, flat.requires_grad_(true), 16, 1);
        var upstream = empty(theirs.shape, ScalarType.Float32);
        using (no_grad()) upstream.fill_(1);
        var theirGradient = autograd.grad([Weighted(theirs, upstream)], [flat])[0];

        var block = new ConvPoolRelu(shape, 16);
        _ = block.Forward(images, flat.detach(), training: true);
        var gradient = zeros(flat.shape, ScalarType.Float32);
        block.Backward(images, upstream, gradient);
        Assert.That(Values(gradient), Is.EqualTo(Values(theirGradient)).Within(1e-3));
    }

    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity)]
    public void Forward_OfWeightsThatAreNotFinite_SaysSo(float value)
    {
        using var scope = NewDisposeScope();
        var shape = new ImageShape(6, 6, 1);
        var flat = Parameters(16, 1);
        MemoryMarshal.Cast<byte, float>(flat.bytes)[4] = value;
        var maps = Values(new ConvPoolRelu(shape, 16).Forward(Images(1, shape), flat, training: false));
        Assert.That(maps.Where((_, place) => place % 16 == 0), Is.All.Matches<float>(map => !float.IsFinite(map)));
        Assert.That(maps.Where((_, place) => place % 16 != 0), Is.All.Matches<float>(float.IsFinite));
    }

    private static Tensor Composed(Tensor images, Tensor flat, int filters, int channels)
    {
        var parts = flat.split([filters * 9 * channels, filters], 0);
        var x = images.to_type(ScalarType.Float32).div_(255).permute(0, 3, 1, 2);
        x = functional.conv2d(x, parts[0].view([filters, 3, 3, channels]).permute(0, 3, 1, 2), parts[1], [1, 1], [1, 1]);
        return functional.max_pool2d(x, [2, 2], [2, 2]).relu().permute(0, 2, 3, 1).contiguous();
    }

    private static Tensor Weighted(Tensor output, Tensor upstream) =>
        functional.linear(output.reshape([1, -1]), upstream.reshape([1, -1]));

    private static Tensor Parameters(int filters, int channels)
    {
        _ = random.manual_seed(7);
        var flat = empty([(filters * 9 * channels) + filters], ScalarType.Float32);
        return flat.uniform_(-0.3, 0.3);
    }

    private static Tensor Images(int count, ImageShape shape)
    {
        var images = empty([count, shape.Height, shape.Width, shape.Channels], ScalarType.Byte);
        new Random(1).NextBytes(images.bytes);
        return images;
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().contiguous().bytes).ToArray();
}
