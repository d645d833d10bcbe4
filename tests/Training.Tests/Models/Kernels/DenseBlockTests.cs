using System.Runtime.InteropServices;
using System.Security.Cryptography;
using MlExperiments.Training.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.Models.Kernels;

/// <summary>The dense layer with ReLU against libtorch's calls.</summary>
public sealed unsafe class DenseBlockTests
{
    [SetUp]
    public void SkipWhereThereIsNone()
    {
        if (!FusedBlocks.IsSupported) Assert.Ignore("This processor has no fused multiplications: libtorch's calls serve.");
    }

    [TestCase(16, 8, 1)]
    [TestCase(48, 8, 7)]
    [TestCase(80, 24, 17)]
    [TestCase(256, 8, 64)]
    [TestCase(592, 128, 65)]
    [TestCase(6272, 128, 64)]
    [TestCase(1024, 16, 300)]
    public void BothWays_OfAnySize_AreThoseOfLibtorchsCalls(int inputs, int units, int count)
    {
        using var scope = NewDisposeScope();
        var (x, parameters, upstream) = (Draw(count * inputs, 1), Draw((units * inputs) + units, 2), Draw(count * units, 3));
        var input = tensor(x, [count, inputs]).requires_grad_(true);
        var flat = tensor(parameters).requires_grad_(true);
        var parts = flat.split([units * inputs, units], 0);
        var theirs = functional.linear(input, parts[0].view(units, inputs), parts[1]).relu();
        var theirGradients = autograd.grad([theirs], [flat, input], [tensor(upstream, [count, units])]);

        using var block = new DenseBlock(inputs, units);
        var (output, gradient, inputGradient) = BothWays(block, x, parameters, upstream, count, inputs, units);
        AssertClose(output, theirs);
        Assert.That(output.Count(value => value > 0), Is.GreaterThan(0).And.LessThan(output.Length));
        AssertClose(gradient, theirGradients[0]);
        AssertClose(inputGradient, theirGradients[1]);

        // Another batch between leaves nothing behind.
        _ = BothWays(block, Draw((count + 9) * inputs, 4), parameters, Draw((count + 9) * units, 5), count + 9, inputs, units);
        var again = BothWays(block, x, parameters, upstream, count, inputs, units);
        Assert.That((again.Output, again.Gradient, again.InputGradient), Is.EqualTo((output, gradient, inputGradient)), "the same bits");
    }

    [Test]
    public void Forward_OfAnImage_GivesTheSameBitsInAnyBatch()
    {
        const int Inputs = 272, Units = 16, Count = 21;
        var (x, parameters) = (Draw(Count * Inputs, 1), Draw((Units * Inputs) + Units, 2));
        using var block = new DenseBlock(Inputs, Units);
        var together = Forward(block, x, parameters, Count, Units);
        var alone = Enumerable.Range(0, Count).SelectMany(image => Forward(block, x[(image * Inputs)..((image + 1) * Inputs)], parameters, 1, Units));
        Assert.That(alone, Is.EqualTo(together));
    }

    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    public void Forward_OfWeightsThatAreNotFinite_SaysSo(float value)
    {
        const int Inputs = 32, Units = 8;
        var parameters = Draw((Units * Inputs) + Units, 2);
        parameters[(3 * Inputs) + 5] = value;
        using var block = new DenseBlock(Inputs, Units);
        var output = Forward(block, [.. Draw(Inputs, 1).Select(Math.Abs)], parameters, 1, Units);
        Assert.That(output.Index().Where(unit => !float.IsFinite(unit.Item)).Select(unit => unit.Index), Is.EqualTo([3]));
    }

    [TestCase(6272, 128, true)]
    [TestCase(6272, 100, false)]
    [TestCase(100, 128, false)]
    public void IsServed_ForMultiplesOfTheGroups_Only(int inputs, int units, bool expected) => Assert.That(DenseBlock.IsServed(inputs, units), Is.EqualTo(expected));

    /// <summary>
    /// The number in <see cref="Engine.Kernels"/> stands for these bits. A change that rounds differently has to increase it, or checkpoints of before would be
    /// called reproducible.
    /// </summary>
    [Test]
    public void Bits_OfTheLayer_AreThoseOfTheKernelsNumber()
    {
        const int Inputs = 528, Units = 24, Count = 19;
        using var block = new DenseBlock(Inputs, Units);
        var (output, gradient, inputGradient) = BothWays(
            block, Draw(Count * Inputs, 1), Draw((Units * Inputs) + Units, 2), Draw(Count * Units, 3), Count, Inputs, Units);
        var bits = Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<float>([.. output, .. gradient, .. inputGradient])))[..16];
        Assert.That((Engine.Kernels, bits), Is.EqualTo(("4, fused blocks", "6d996da83030ff9a")));
    }

    private static (float[] Output, float[] Gradient, float[] InputGradient) BothWays(
        DenseBlock block, float[] x, float[] parameters, float[] upstream, int count, int inputs, int units)
    {
        var (output, gradient) = (Forward(block, x, parameters, count, units), new float[parameters.Length]);
        var inputGradient = new float[DenseBlock.Rows(count) * inputs];
        fixed (float* from = x, flat = parameters, made = output, outputGradient = upstream, to = gradient, toInput = inputGradient)
            block.Backward(from, flat, count, made, outputGradient, to, toInput);
        return (output, gradient, inputGradient[..(count * inputs)]);
    }

    private static float[] Forward(DenseBlock block, float[] x, float[] parameters, int count, int units)
    {
        var output = new float[count * units];
        fixed (float* from = x, flat = parameters, to = output) block.Forward(from, flat, count, to);
        return output;
    }

    private static float[] Draw(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    // In hundred-thousandths of the largest: sums of thousands of products, rounded in another order.
    private static void AssertClose(float[] ours, Tensor theirs)
    {
        var expected = MemoryMarshal.Cast<byte, float>(theirs.detach().contiguous().bytes).ToArray();
        Assert.That(ours, Is.EqualTo(expected).Within(1e-5 * expected.Max(Math.Abs)));
    }
}
