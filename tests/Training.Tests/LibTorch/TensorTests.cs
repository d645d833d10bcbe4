using System.Runtime.InteropServices;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.LibTorch;

/// <summary>Every call that training makes, against values worked out by hand.</summary>
public sealed class TensorTests
{
    private TorchSharp.DisposeScope _scope = null!;

    [SetUp]
    public void OpenScope() => _scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => _scope.Dispose();

    [Test]
    public void Zeros_OfEachType_HasItsShapeAndBytes()
    {
        foreach (var (type, bytes) in new[] { (ScalarType.Byte, 1), (ScalarType.Int64, 8), (ScalarType.Float32, 4), (ScalarType.Float64, 8) })
        {
            var tensor = zeros([2, 3], type);
            Assert.That(tensor.shape, Is.EqualTo(new long[] { 2, 3 }));
            Assert.That(tensor.NumberOfElements, Is.EqualTo(6));
            Assert.That(tensor.bytes.ToArray(), Is.EqualTo(new byte[6 * bytes]));
        }
    }

    [Test]
    public void Bytes_OfAPermutedTensor_AreRefused() =>
        Assert.That(() => Floats([2, 2], 1, 2, 3, 4).permute(1, 0).bytes.Length, Throws.Exception);

    [Test]
    public void View_OfASplit_SharesTheMemory()
    {
        var flat = Floats([6], 1, 2, 3, 4, 5, 6);
        var pieces = flat.split([2, 4], 0);
        pieces[1].view(2, 2).mul_(10);
        Assert.That(Values(flat), Is.EqualTo(new float[] { 1, 2, 30, 40, 50, 60 }));
    }

    [Test]
    public void Permute_MadeContiguous_ReordersTheElements()
    {
        var tensor = Floats([2, 3], 1, 2, 3, 4, 5, 6).permute(1, 0);
        Assert.That(tensor.is_contiguous(), Is.False);
        Assert.That(Values(tensor.contiguous()), Is.EqualTo(new float[] { 1, 4, 2, 5, 3, 6 }));
        Assert.That(Values(tensor.reshape(6)), Is.EqualTo(new float[] { 1, 4, 2, 5, 3, 6 }));
    }

    [Test]
    public void InPlaceArithmetic_OnFloats_MatchesByHand()
    {
        var tensor = Floats([2], 2, -4);
        Assert.That(Values(tensor.mul_(3).div_(2).add_(1)), Is.EqualTo(new float[] { 4, -5 }));
        Assert.That(Values(tensor.add_(Floats([2], 1, 2), 0.5)), Is.EqualTo(new[] { 4.5f, -4 }));
        Assert.That(Values(tensor.add_(Floats([2], 0.5f, 1))), Is.EqualTo(new float[] { 5, -3 }));
        Assert.That(Values(tensor.addcmul_(Floats([2], 2, 3), Floats([2], 4, 5), 0.5)), Is.EqualTo(new[] { 9, 4.5f }));
        Assert.That(Values(tensor.addcdiv_(Floats([2], 2, 3), Floats([2], 4, 2), -2)), Is.EqualTo(new[] { 8, 1.5f }));
        Assert.That(Values(tensor.copy_(Floats([2], 9, 16)).sqrt()), Is.EqualTo(new float[] { 3, 4 }));
        Assert.That(Values(tensor.fill_(3)), Is.EqualTo(new float[] { 3, 3 }));
    }

    [Test]
    public void WholeScalar_OnWholeNumbers_KeepsTheType()
    {
        var tensor = zeros([2], ScalarType.Int64).add_(3);
        Assert.That(Value<long>(tensor.sum()), Is.EqualTo(6));
        Assert.That(() => tensor.mul_(0.5), Throws.TypeOf<ExternalException>(), "half of a whole number is none");
    }

    [Test]
    public void Add_OfFloatsToDoubles_KeepsTheDoubles()
    {
        var sum = zeros([1], ScalarType.Float64).add_(Floats([1], 0.5f), 3);
        Assert.That(Value<double>(sum), Is.EqualTo(1.5));
    }

    [Test]
    public void ArgmaxEqualSum_OfLogits_CountsTheRightOnes()
    {
        var logits = Floats([3, 2], 1, 2, 5, 4, 0, 1);
        var right = logits.argmax(1).eq(Longs(1, 1, 1)).sum();
        Assert.That(Value<long>(right), Is.EqualTo(2));
    }

    [Test]
    public void ToType_FromBytes_KeepsTheValues()
    {
        var tensor = empty([2], ScalarType.Byte);
        new byte[] { 0, 255 }.CopyTo(tensor.bytes);
        Assert.That(Values(tensor.to_type(ScalarType.Float32).div_(255)), Is.EqualTo(new float[] { 0, 1 }));
    }

    [Test]
    public void Linear_WithBias_MatchesByHand()
    {
        var result = functional.linear(Floats([1, 2], 1, 2), Floats([2, 2], 1, 2, 3, 4), Floats([2], 10, 20));
        Assert.That(Values(result), Is.EqualTo(new float[] { 15, 31 }));
    }

    [Test]
    public void Conv2d_WithPadding_MatchesByHand()
    {
        var image = Floats([1, 1, 2, 2], 1, 2, 3, 4);
        var kernel = Floats([1, 1, 3, 3], 0, 0, 0, 0, 1, 2, 0, 0, 0);
        Assert.That(Values(functional.conv2d(image, kernel, Floats([1], 0.5f), [1, 1], [1, 1])), Is.EqualTo(new[] { 5.5f, 2.5f, 11.5f, 4.5f }));
        Assert.That(functional.conv2d(zeros([1, 1, 5, 5]), kernel).shape, Is.EqualTo(new long[] { 1, 1, 3, 3 }));
    }

    [Test]
    public void MaxPool2d_OfAnOddSide_LeavesTheRestOut() =>
        Assert.That(
            Values(functional.max_pool2d(Floats([1, 1, 3, 3], 1, 2, 9, 4, 3, 9, 9, 9, 9), [2, 2], [2, 2])), Is.EqualTo(new float[] { 4 }));

    [Test]
    public void MaxPool2d_WithPadding_TakesNoneOfIt() =>
        Assert.That(
            Values(functional.max_pool2d(Floats([1, 1, 3, 3], -1, -2, -3, -4, -5, -6, -7, -8, -9), [3, 3], [2, 2], [1, 1])),
            Is.EqualTo(new float[] { -1, -2, -4, -5 }));

    [Test]
    public void AdaptiveAvgPool2d_ToOnePixel_IsTheMean() =>
        Assert.That(
            Values(functional.adaptive_avg_pool2d(Floats([1, 2, 1, 3], 1, 2, 6, -1, 0, 1), [1, 1])), Is.EqualTo(new float[] { 3, 0 }));

    [Test]
    public void BatchNorm_WhileTraining_TakesTheBatchsMomentsAndMovesTheRunningOnes()
    {
        // Two channels of two pixels: means 2 and 10, variances (of n) 1 and 4, (of n - 1) 2 and 8.
        var input = Floats([1, 2, 1, 2], 1, 3, 8, 12);
        var (mean, variance) = (Floats([2], 0, 5), Floats([2], 1, 2));
        var (weight, bias) = (Floats([2], 1, 2), Floats([2], 0, 100));
        Assert.That(Values(functional.batch_norm(input, mean, variance, weight, bias, true, 0.25, 0)), Is.EqualTo(new float[] { -1, 1, 98, 102 }).Within(1e-5));
        Assert.That(Values(mean), Is.EqualTo(new[] { 0.5f, 6.25f }).Within(1e-6));
        Assert.That(Values(variance), Is.EqualTo(new[] { 1.25f, 3.5f }).Within(1e-6));

        Assert.That(
            Values(functional.batch_norm(input, Floats([2], 1, 2), Floats([2], 4, 9), weight, bias, false, 0.25, 0)),
            Is.EqualTo(new[] { 0, 1, 104, 100 + (20f / 3) }).Within(1e-4));
    }

    [Test]
    public void Normal_OfManyDraws_HasItsMeanAndDeviation()
    {
        using var generator = manual_seed(4);
        var values = Values(zeros([10_000]).normal_(3, 2));
        Assert.That(values.Average(), Is.EqualTo(3).Within(0.1));
        Assert.That(values.Average(value => (value - 3) * (value - 3)), Is.EqualTo(4).Within(0.2));
    }

    [Test]
    public void CrossEntropy_WithWeights_IsTheirMean()
    {
        var loss = functional.cross_entropy(Floats([2, 2], 0, 0, 2, 0), Longs(0, 1), Floats([2], 1, 3));
        Assert.That(Value<float>(loss), Is.EqualTo((Math.Log(2) + (3 * (2 + Math.Log(1 + Math.Exp(-2))))) / 4).Within(1e-6));
    }

    [Test]
    public void Relu_OfNegatives_IsZero() => Assert.That(Values(Floats([3], -1, 0, 2).relu()), Is.EqualTo(new float[] { 0, 0, 2 }));

    [Test]
    public void CrossEntropy_OfEqualLogits_IsTheLogarithmOfTheClasses() =>
        Assert.That(Value<float>(functional.cross_entropy(zeros([2, 4]), Longs(0, 3))), Is.EqualTo(MathF.Log(4)).Within(1e-6));

    [Test]
    public void Dropout_WithTheSameSeed_DropsTheSame()
    {
        float[] Draw(long seed)
        {
            using var generator = manual_seed(seed);
            return Values(functional.dropout(zeros([1000]).add_(1), 0.25, true));
        }

        var first = Draw(1);
        Assert.That(Draw(1), Is.EqualTo(first));
        Assert.That(Draw(2), Is.Not.EqualTo(first));
        Assert.That(first.Where(value => value != 0), Is.All.EqualTo(1 / 0.75f).Within(1e-6));
        Assert.That(first.Count(value => value == 0), Is.InRange(200, 300));
        Assert.That(Values(functional.dropout(zeros([3]).add_(1), 0.25, false)), Is.EqualTo(new float[] { 1, 1, 1 }));
    }

    [Test]
    public void Uniform_BetweenBounds_StaysWithin()
    {
        using var generator = manual_seed(3);
        var values = Values(zeros([1000]).uniform_(-2, 1));
        Assert.That(values, Is.All.InRange(-2f, 1f));
        Assert.That(values.Average(), Is.EqualTo(-0.5).Within(0.1));
    }

    [Test]
    public void Grad_ThroughSplitAndView_MatchesByHand()
    {
        // (a b + c)^2 summed as 2 x 1 pieces of one leaf: by hand, d/da = b, d/db = a.
        var flat = Floats([4], 2, 3, 5, 7).requires_grad_(true);
        var pieces = flat.split([2, 2], 0);
        var loss = functional.linear(pieces[0].view(1, 2), pieces[1].view(1, 2)).sum();
        Assert.That(Value<float>(loss), Is.EqualTo(31));
        Assert.That(Values(autograd.grad([loss], [flat])[0]), Is.EqualTo(new float[] { 5, 7, 2, 3 }));
    }

    [Test]
    public void Threads_WhenSet_AreThatMany()
    {
        try
        {
            set_num_threads(2);
            Assert.That(get_num_threads(), Is.EqualTo(2));
        }
        finally
        {
            Engine.UseOneThread();
        }

        Assert.That(get_num_threads(), Is.EqualTo(1));
    }

    private static Tensor Floats(long[] shape, params float[] values)
    {
        var tensor = empty(shape, ScalarType.Float32);
        MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(tensor.bytes);
        return tensor;
    }

    private static Tensor Longs(params long[] values)
    {
        var tensor = empty([values.Length], ScalarType.Int64);
        MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(tensor.bytes);
        return tensor;
    }

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().bytes).ToArray();

    private static T Value<T>(Tensor tensor) where T : unmanaged
    {
        var bytes = tensor.detach().bytes;
        Assert.That(bytes.Length, Is.EqualTo(Marshal.SizeOf<T>()), "one element of the type");
        return MemoryMarshal.Read<T>(bytes);
    }
}
