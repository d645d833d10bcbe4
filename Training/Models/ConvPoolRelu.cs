using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MlExperiments.Shared.Imaging;
using static TorchSharp.torch;

namespace MlExperiments.Training.Models;

/// <summary>
/// The first block of a <see cref="Cnn"/> on a CPU, fused: 3x3 convolution with same padding, bias, 2x2 max pooling and ReLU in one pass each way, on pixels
/// as they are stored. Composed of libtorch's calls these are a dozen passes over activations of four times the size, which take longer to read and write
/// than to compute. Of each pooling window only one position counts, so that the backward pass needs one bit for each and no activations.
/// </summary>
/// <remarks>
/// Sums are in float32 in a fixed order: over an image's positions, then over images. They differ from libtorch's in their rounding. Of equal positions the
/// first counts, row by row, as there. A filter whose weights are not all finite gives NaN. One thread, one pass at a time.
/// </remarks>
internal sealed unsafe class ConvPoolRelu(ImageShape shape, int filters)
{
    private const int Taps = 9;

    /// <summary>Filters in one vector.</summary>
    private const int Lanes = 8;

    private static readonly float[] Scaled = [.. Enumerable.Range(0, 256).Select(pixel => pixel / 255f)];

    private readonly int _height = shape.Height / 2;
    private readonly int _width = shape.Width / 2;
    private readonly int _groups = filters / Lanes;
    private readonly int _stride = shape.Width + 2;

    // One image: a plane for each channel, with a border of zeros.
    private readonly float[] _planes = new float[shape.Channels * (shape.Height + 2) * (shape.Width + 2)];

    // [channel, tap, filter], and the bias after them.
    private readonly float[] _weights = new float[((shape.Channels * Taps) + 1) * filters];
    private readonly float[] _gradients = new float[((shape.Channels * Taps) + 1) * filters];

    // For each window and each vector of filters four bytes, one for each position: the filters whose maximum it is, where that is above 0.
    private uint[] _argmax = [];

    /// <summary>Whether this processor has the instructions. Those of ARM would do, but nobody has measured them against libtorch's.</summary>
    public static bool IsSupported => Fma.IsSupported;

    /// <summary>Whether it is there for such a network, whose first block is pooled.</summary>
    /// <param name="batchSize">Images in the largest pass.</param>
    public static bool Serves(ImageShape shape, int kernelSize, int filters, int batchSize) =>
        kernelSize == 3 && filters % (2 * Lanes) == 0 && IsSupported && Engine.Device == Engine.Cpu
        // A span's bytes.
        && (long)batchSize * (shape.Height / 2) * (shape.Width / 2) * filters * sizeof(float) <= int.MaxValue;

    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="parameters">Flat float32 that begins with the weights <c>[filters, 3, 3, c]</c> and the biases <c>[filters]</c>.</param>
    /// <param name="training">Whether a backward pass follows, before the next one that is for training.</param>
    /// <returns>float32 <c>[n, h / 2, w / 2, filters]</c>; while training a leaf, where autograd's backward pass ends and this one's begins.</returns>
    public Tensor Forward(Tensor images, Tensor parameters, bool training)
    {
        var count = (int)images.shape[0];
        var activations = empty([count, _height, _width, filters], ScalarType.Float32, requires_grad: training);
        var windows = _height * _width * _groups;
        if (training && _argmax.Length < count * windows) _argmax = new uint[count * windows];
        PackWeights(Floats(parameters));

        var pixels = images.bytes;
        var result = Floats(activations);
        var size = _height * _width * filters;
        fixed (float* planes = _planes, weights = _weights, to = result)
        fixed (uint* argmax = _argmax)
        {
            for (var image = 0; image < count; image++)
            {
                Pad(pixels.Slice(image * shape.Size, shape.Size));
                Forward(planes, weights, to + (image * size), training ? argmax + (image * windows) : null);
            }
        }

        return activations;
    }

    /// <summary>The backward pass of the latest forward pass for training.</summary>
    /// <param name="images">That pass's.</param>
    /// <param name="outputGradient">float32 <c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="gradient">Flat float32: takes the weights' and the biases' gradients at its beginning.</param>
    public void Backward(Tensor images, Tensor outputGradient, Tensor gradient)
    {
        Array.Clear(_gradients);
        var count = (int)images.shape[0];
        var windows = _height * _width * _groups;
        var size = _height * _width * filters;
        var pixels = images.bytes;
        fixed (float* planes = _planes, sums = _gradients, from = Floats(outputGradient))
        fixed (uint* argmax = _argmax)
        {
            for (var image = 0; image < count; image++)
            {
                Pad(pixels.Slice(image * shape.Size, shape.Size));
                Backward(planes, sums, from + (image * size), argmax + (image * windows));
            }
        }

        var to = Floats(gradient);
        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                for (var tap = 0; tap < Taps; tap++)
                    to[(((filter * Taps) + tap) * shape.Channels) + channel] = _gradients[(((channel * Taps) + tap) * filters) + filter];
            }
        }

        _gradients.AsSpan(shape.Channels * Taps * filters).CopyTo(to[(filters * Taps * shape.Channels)..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Forward(float* planes, float* weights, float* output, uint* argmax)
    {
        var (channels, all, stride) = (shape.Channels, filters, _stride);
        var planeSize = (shape.Height + 2) * stride;
        var bias = weights + (channels * Taps * all);
        for (var y = 0; y < _height; y++)
        {
            for (var x = 0; x < _width; x++)
            {
                for (var filter = 0; filter < all; filter += 2 * Lanes)
                {
                    // Two vectors of filters at the four positions of the window.
                    var a0 = Vector256.Load(bias + filter);
                    var b0 = Vector256.Load(bias + filter + Lanes);
                    var (a1, a2, a3) = (a0, a0, a0);
                    var (b1, b2, b3) = (b0, b0, b0);
                    var weight = weights + filter;
                    for (var channel = 0; channel < channels; channel++)
                    {
                        var top = planes + (channel * planeSize) + (2 * y * stride) + (2 * x);
                        for (var row = 0; row < 3; row++, top += stride)
                        {
                            Multiply(weight, top, stride, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1, ref b2, ref b3);
                            Multiply(weight + all, top + 1, stride, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1, ref b2, ref b3);
                            Multiply(weight + (2 * all), top + 2, stride, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1, ref b2, ref b3);
                            weight += 3 * all;
                        }
                    }

                    var positions = Pool(a0, a1, a2, a3, output);
                    var morePositions = Pool(b0, b1, b2, b3, output + Lanes);
                    output += 2 * Lanes;
                    if (argmax is null) continue;
                    argmax[0] = positions;
                    argmax[1] = morePositions;
                    argmax += 2;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(
        float* weight, float* pixels, int stride,
        ref Vector256<float> a0, ref Vector256<float> a1, ref Vector256<float> a2, ref Vector256<float> a3,
        ref Vector256<float> b0, ref Vector256<float> b1, ref Vector256<float> b2, ref Vector256<float> b3)
    {
        var a = Vector256.Load(weight);
        var b = Vector256.Load(weight + Lanes);
        var pixel = Vector256.Create(pixels[0]);
        a0 = Vector256.FusedMultiplyAdd(a, pixel, a0);
        b0 = Vector256.FusedMultiplyAdd(b, pixel, b0);
        pixel = Vector256.Create(pixels[1]);
        a1 = Vector256.FusedMultiplyAdd(a, pixel, a1);
        b1 = Vector256.FusedMultiplyAdd(b, pixel, b1);
        pixel = Vector256.Create(pixels[stride]);
        a2 = Vector256.FusedMultiplyAdd(a, pixel, a2);
        b2 = Vector256.FusedMultiplyAdd(b, pixel, b2);
        pixel = Vector256.Create(pixels[stride + 1]);
        a3 = Vector256.FusedMultiplyAdd(a, pixel, a3);
        b3 = Vector256.FusedMultiplyAdd(b, pixel, b3);
    }

    // The maximum of four, or 0 where that is less. Returns a byte for each of the four: the filters whose maximum it is, above 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Pool(Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, float* output)
    {
        var max = v0;
        var is1 = Vector256.GreaterThan(v1, max);
        max = Vector256.ConditionalSelect(is1, v1, max);
        var is2 = Vector256.GreaterThan(v2, max);
        max = Vector256.ConditionalSelect(is2, v2, max);
        var is3 = Vector256.GreaterThan(v3, max);
        max = Vector256.ConditionalSelect(is3, v3, max);

        // NaN is neither.
        var inactive = Vector256.LessThanOrEqual(max, Vector256<float>.Zero);
        Vector256.AndNot(max, inactive).Store(output);

        var left = ~inactive.ExtractMostSignificantBits() & 0xFF;
        var at3 = is3.ExtractMostSignificantBits() & left;
        left &= ~at3;
        var at2 = is2.ExtractMostSignificantBits() & left;
        left &= ~at2;
        var at1 = is1.ExtractMostSignificantBits() & left;
        left &= ~at1;
        return left | (at1 << 8) | (at2 << 16) | (at3 << 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Backward(float* planes, float* sums, float* outputGradient, uint* argmax)
    {
        var (channels, all, groups, stride, width) = (shape.Channels, filters, _groups, _stride, _width);
        var planeSize = (shape.Height + 2) * stride;
        var biasSums = sums + (channels * Taps * all);
        for (var group = 0; group < groups; group++)
        {
            for (var channel = 0; channel < channels; channel++)
            {
                var (t0, t1, t2) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
                var (t3, t4, t5) = (t0, t0, t0);
                var (t6, t7, t8, biasSum) = (t0, t0, t0, t0);
                var gradients = outputGradient + (group * Lanes);
                var positions = argmax + group;
                for (var y = 0; y < _height; y++)
                {
                    var window = planes + (channel * planeSize) + (2 * y * stride);
                    for (var x = 0; x < width; x++, window += 2, gradients += all, positions += groups)
                    {
                        var left = *positions;
                        if (left == 0) continue;
                        var gradient = Vector256.Load(gradients);
                        for (var position = 0; position < 4; position++, left >>= 8)
                        {
                            var part = Mask(gradient, left & 0xFF);
                            var at = window + ((position >> 1) * stride) + (position & 1);
                            biasSum += part;
                            t0 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[0]), t0);
                            t1 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[1]), t1);
                            t2 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[2]), t2);
                            at += stride;
                            t3 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[0]), t3);
                            t4 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[1]), t4);
                            t5 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[2]), t5);
                            at += stride;
                            t6 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[0]), t6);
                            t7 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[1]), t7);
                            t8 = Vector256.FusedMultiplyAdd(part, Vector256.Create(at[2]), t8);
                        }
                    }
                }

                var to = sums + (channel * Taps * all) + (group * Lanes);
                Add(to, t0);
                Add(to + all, t1);
                Add(to + (2 * all), t2);
                Add(to + (3 * all), t3);
                Add(to + (4 * all), t4);
                Add(to + (5 * all), t5);
                Add(to + (6 * all), t6);
                Add(to + (7 * all), t7);
                Add(to + (8 * all), t8);
                if (channel == 0) Add(biasSums + (group * Lanes), biasSum);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Mask(Vector256<float> values, uint lanes)
    {
        var laneBits = Vector256.Create(1, 2, 4, 8, 16, 32, 64, 128);
        return values & Vector256.Equals(Vector256.Create((int)lanes) & laneBits, laneBits).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* to, Vector256<float> values) => (Vector256.Load(to) + values).Store(to);

    private void PackWeights(ReadOnlySpan<float> parameters)
    {
        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                for (var tap = 0; tap < Taps; tap++)
                    _weights[(((channel * Taps) + tap) * filters) + filter] = parameters[(((filter * Taps) + tap) * shape.Channels) + channel];
            }
        }

        // Infinity times a black pixel is NaN, which pooling might pass over: such a filter gives nothing else.
        var biases = _weights.AsSpan(shape.Channels * Taps * filters);
        parameters.Slice(filters * Taps * shape.Channels, filters).CopyTo(biases);
        for (var filter = 0; filter < filters; filter++)
        {
            foreach (var weight in parameters.Slice(filter * Taps * shape.Channels, Taps * shape.Channels))
            {
                if (!float.IsFinite(weight)) biases[filter] = float.NaN;
            }
        }
    }

    private void Pad(ReadOnlySpan<byte> pixels)
    {
        for (var channel = 0; channel < shape.Channels; channel++)
        {
            var plane = _planes.AsSpan(channel * (shape.Height + 2) * _stride);
            for (var y = 0; y < shape.Height; y++)
            {
                var row = plane.Slice(((y + 1) * _stride) + 1, shape.Width);
                var from = pixels[((y * shape.Width * shape.Channels) + channel)..];
                for (var x = 0; x < row.Length; x++) row[x] = Scaled[from[x * shape.Channels]];
            }
        }
    }

    private static Span<float> Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
