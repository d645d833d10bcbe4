using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>
/// The first block of a <see cref="Cnn"/>: 3x3 convolution with same padding, bias, 2x2 max pooling and ReLU in one pass each way, on pixels as they are
/// stored. Composed of libtorch's calls these are a dozen passes over activations of four times the size, which take longer to read and write than to
/// compute. Of each pooling window only one position counts, so that the backward pass needs one bit for each and no activations.
/// </summary>
/// <remarks>
/// Sums are in float32 in a fixed order: over an image's positions, then over images. They differ from libtorch's in their rounding. One thread, one pass at
/// a time.
/// </remarks>
/// <param name="filters">A multiple of 16.</param>
internal sealed unsafe class PixelBlock(ImageShape shape, int filters) : IDisposable
{
    private const int Taps = 9;
    private const int Lanes = PoolRelu.Lanes;

    private static readonly float[] Scaled = [.. Enumerable.Range(0, 256).Select(pixel => pixel / 255f)];

    private readonly int _height = shape.Height / 2;
    private readonly int _width = shape.Width / 2;
    private readonly int _groups = filters / Lanes;
    private readonly int _stride = shape.Width + 2;

    // One image: a plane for each channel, with a border of zeros.
    private readonly NativeBuffer<float> _planes = new();

    // [channel, tap, filter], and the bias after them.
    private readonly NativeBuffer<float> _weights = new();
    private readonly NativeBuffer<float> _gradients = new();

    // For each window and each vector of filters what PoolRelu says of it.
    private readonly NativeBuffer<uint> _argmax = new();

    private int ParameterCount => ((shape.Channels * Taps) + 1) * filters;

    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="parameters">The weights <c>[filters, 3, 3, c]</c>, then the biases <c>[filters]</c>.</param>
    /// <param name="output">Takes <c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="training">Whether a backward pass follows, before any other forward pass.</param>
    public void Forward(ReadOnlySpan<byte> images, float* parameters, Maps output, bool training)
    {
        var count = images.Length / shape.Size;
        var windows = _height * _width * _groups;
        var weights = _weights.AtLeast(ParameterCount);
        PackWeights(parameters, weights);
        var argmax = training ? _argmax.AtLeast((long)count * windows) : null;
        var planes = _planes.AtLeast(shape.Channels * (shape.Height + 2) * _stride);
        for (var image = 0; image < count; image++)
        {
            Pad(images.Slice(image * shape.Size, shape.Size), planes);
            Forward(planes, weights, output, image, training ? argmax + ((nint)image * windows) : null);
        }
    }

    /// <summary>The backward pass of the latest forward pass, which was for training.</summary>
    /// <param name="images">That pass's.</param>
    /// <param name="outputGradient"><c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="gradient">Takes the weights' and the biases' gradients, in the order of the parameters.</param>
    public void Backward(ReadOnlySpan<byte> images, Maps outputGradient, float* gradient)
    {
        var count = images.Length / shape.Size;
        var windows = _height * _width * _groups;
        var sums = _gradients.AtLeast(ParameterCount);
        new Span<float>(sums, ParameterCount).Clear();
        var argmax = _argmax.AtLeast((long)count * windows);
        var planes = _planes.AtLeast(shape.Channels * (shape.Height + 2) * _stride);
        for (var image = 0; image < count; image++)
        {
            Pad(images.Slice(image * shape.Size, shape.Size), planes);
            Backward(planes, sums, outputGradient, image, argmax + ((nint)image * windows));
        }

        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                for (var tap = 0; tap < Taps; tap++)
                    gradient[(((filter * Taps) + tap) * shape.Channels) + channel] = sums[(((channel * Taps) + tap) * filters) + filter];
            }
        }

        new Span<float>(sums + (shape.Channels * Taps * filters), filters).CopyTo(new(gradient + (filters * Taps * shape.Channels), filters));
    }

    public void Dispose()
    {
        _planes.Dispose();
        _weights.Dispose();
        _gradients.Dispose();
        _argmax.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Forward(float* planes, float* weights, Maps output, int image, uint* argmax)
    {
        var (channels, all, stride) = (shape.Channels, filters, _stride);
        var planeSize = (shape.Height + 2) * stride;
        var bias = weights + (channels * Taps * all);
        for (var y = 0; y < _height; y++)
        {
            var to = output.Row(image, y);
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

                    var positions = PoolRelu.Forward(a0, a1, a2, a3, to);
                    var morePositions = PoolRelu.Forward(b0, b1, b2, b3, to + Lanes);
                    to += 2 * Lanes;
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Backward(float* planes, float* sums, Maps outputGradient, int image, uint* argmax)
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
                var positions = argmax + group;
                for (var y = 0; y < _height; y++)
                {
                    var gradients = outputGradient.Row(image, y) + (group * Lanes);
                    var window = planes + (channel * planeSize) + (2 * y * stride);
                    for (var x = 0; x < width; x++, window += 2, gradients += all, positions += groups)
                    {
                        var left = *positions;
                        if (left == 0) continue;
                        var gradient = Vector256.Load(gradients);
                        for (var position = 0; position < 4; position++, left >>= 8)
                        {
                            var part = PoolRelu.Backward(gradient, left & 0xFF);
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
    private static void Add(float* to, Vector256<float> values) => (Vector256.Load(to) + values).Store(to);

    private void PackWeights(float* parameters, float* weights)
    {
        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                for (var tap = 0; tap < Taps; tap++)
                    weights[(((channel * Taps) + tap) * filters) + filter] = parameters[(((filter * Taps) + tap) * shape.Channels) + channel];
            }
        }

        new Span<float>(parameters + (filters * Taps * shape.Channels), filters).CopyTo(new(weights + (shape.Channels * Taps * filters), filters));
    }

    private void Pad(ReadOnlySpan<byte> pixels, float* planes)
    {
        for (var channel = 0; channel < shape.Channels; channel++)
        {
            var plane = planes + (channel * (shape.Height + 2) * _stride);
            for (var y = 0; y < shape.Height; y++)
            {
                var row = new Span<float>(plane + ((y + 1) * _stride) + 1, shape.Width);
                var from = pixels[((y * shape.Width * shape.Channels) + channel)..];
                for (var x = 0; x < row.Length; x++) row[x] = Scaled[from[x * shape.Channels]];
            }
        }
    }
}
