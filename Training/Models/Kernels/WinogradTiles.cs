using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>The tiles of Winograd's F(2x2, 3x3), between the maps that they are cut from and the matrices that are multiplied, both ways.</summary>
/// <remarks>A tile is 4x4 inputs, which overlap by two, and makes 2x2 outputs, which are one window of pooling.</remarks>
/// <param name="height">Of the input, at least 2; likewise the width.</param>
internal sealed unsafe class WinogradTiles(int height, int width, int channels, int filters)
{
    /// <summary>Values of a tile, each of which has a matrix of its own.</summary>
    public const int Points = 16;

    /// <summary>Tiles at a time: a multiple of <see cref="MatrixProduct.RowGroup"/>.</summary>
    public const int AtOnce = 48;

    private const int Lanes = PoolRelu.Lanes;

    // Planes as far apart as a power of two would share few of the cache's lines.
    private const int PlanePadding = 16;

    private readonly int _outputWidth = width / 2;

    public int PerImage { get; } = (height / 2) * (width / 2);

    /// <summary>Values from one point's matrix of inputs to the next.</summary>
    public int InputPlane { get; } = (AtOnce * channels) + PlanePadding;

    /// <summary>Values from one point's matrix of outputs to the next.</summary>
    public int OutputPlane { get; } = (AtOnce * filters) + PlanePadding;

    /// <summary>B' d B for each tile and channel.</summary>
    /// <param name="input"><c>[n, h, w, channels]</c> with a border of zeros.</param>
    /// <param name="first">Of all tiles of the batch, image by image and row by row; then so many, at most <see cref="AtOnce"/>.</param>
    /// <param name="tiles">Takes <c>[point, tile, channel]</c>, the points <see cref="InputPlane"/> apart.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TransformInput(Maps input, int first, int count, float* tiles)
    {
        var (row, plane) = (input.RowStride, (nint)InputPlane);
        for (var tile = 0; tile < count; tile++)
        {
            var corner = Corner(input, first + tile);
            for (var channel = 0; channel < channels; channel += Lanes)
            {
                var from = corner + channel;
                var to = tiles + (tile * channels) + channel;
                Read(from, row, out var a0, out var a1, out var a2, out var a3);
                Read(from + channels, row, out var b0, out var b1, out var b2, out var b3);
                Read(from + (2 * channels), row, out var c0, out var c1, out var c2, out var c3);
                Read(from + (3 * channels), row, out var d0, out var d1, out var d2, out var d3);
                Write(a0, b0, c0, d0, to, plane);
                Write(a1, b1, c1, d1, to + (4 * plane), plane);
                Write(a2, b2, c2, d2, to + (8 * plane), plane);
                Write(a3, b3, c3, d3, to + (12 * plane), plane);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Read(float* from, nint row, out Vector256<float> r0, out Vector256<float> r1, out Vector256<float> r2, out Vector256<float> r3)
        {
            var (v0, v1, v2, v3) = (Vector256.Load(from), Vector256.Load(from + row), Vector256.Load(from + (2 * row)), Vector256.Load(from + (3 * row)));
            (r0, r1, r2, r3) = (v0 - v2, v1 + v2, v2 - v1, v1 - v3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Write(Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, float* to, nint plane)
        {
            (v0 - v2).Store(to);
            (v1 + v2).Store(to + plane);
            (v2 - v1).Store(to + (2 * plane));
            (v1 - v3).Store(to + (3 * plane));
        }
    }

    /// <summary>Adds B dD B' to the gradient of each tile's inputs, which neighbouring tiles share: the way back of <see cref="TransformInput"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TransformInputBack(float* tiles, Maps inputGradient, int first, int count)
    {
        var (row, plane) = (inputGradient.RowStride, (nint)InputPlane);
        for (var tile = 0; tile < count; tile++)
        {
            var corner = Corner(inputGradient, first + tile);
            for (var channel = 0; channel < channels; channel += Lanes)
            {
                var from = tiles + (tile * channels) + channel;
                var to = corner + channel;
                Read(from, 4 * plane, out var a0, out var a1, out var a2, out var a3);
                Read(from + plane, 4 * plane, out var b0, out var b1, out var b2, out var b3);
                Read(from + (2 * plane), 4 * plane, out var c0, out var c1, out var c2, out var c3);
                Read(from + (3 * plane), 4 * plane, out var d0, out var d1, out var d2, out var d3);
                Add(a0, b0, c0, d0, to, channels);
                Add(a1, b1, c1, d1, to + row, channels);
                Add(a2, b2, c2, d2, to + (2 * row), channels);
                Add(a3, b3, c3, d3, to + (3 * row), channels);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Read(float* from, nint row, out Vector256<float> r0, out Vector256<float> r1, out Vector256<float> r2, out Vector256<float> r3)
        {
            var (v0, v1, v2, v3) = (Vector256.Load(from), Vector256.Load(from + row), Vector256.Load(from + (2 * row)), Vector256.Load(from + (3 * row)));
            (r0, r1, r2, r3) = (v0, v1 - v2 + v3, v1 + v2 - v0, -v3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Add(Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, float* to, nint column)
        {
            (Vector256.Load(to) + v0).Store(to);
            (Vector256.Load(to + column) + (v1 - v2 + v3)).Store(to + column);
            (Vector256.Load(to + (2 * column)) + (v1 + v2 - v0)).Store(to + (2 * column));
            (Vector256.Load(to + (3 * column)) - v3).Store(to + (3 * column));
        }
    }

    /// <summary>A' m A, bias, pooling and ReLU.</summary>
    /// <param name="tiles"><c>[point, tile, filter]</c>, the points <see cref="OutputPlane"/> apart.</param>
    /// <param name="output">Takes the windows of <c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="argmax">Takes what <see cref="PoolRelu.Forward"/> says of each 8 filters of each tile; null where nobody asks.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TransformOutput(float* tiles, float* bias, Maps output, int first, int count, uint* argmax)
    {
        var plane = (nint)OutputPlane;
        for (var tile = 0; tile < count; tile++)
        {
            var to = Window(output, first + tile);
            for (var filter = 0; filter < filters; filter += Lanes)
            {
                var from = tiles + (tile * filters) + filter;
                Read(from, 4 * plane, out var a0, out var a1);
                Read(from + plane, 4 * plane, out var b0, out var b1);
                Read(from + (2 * plane), 4 * plane, out var c0, out var c1);
                Read(from + (3 * plane), 4 * plane, out var d0, out var d1);
                var offset = Vector256.Load(bias + filter);
                var positions = PoolRelu.Forward(
                    a0 + b0 + c0 + offset, b0 - c0 - d0 + offset, a1 + b1 + c1 + offset, b1 - c1 - d1 + offset, to + filter);
                if (argmax is not null) *argmax++ = positions;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Read(float* from, nint row, out Vector256<float> r0, out Vector256<float> r1)
        {
            var (v0, v1, v2, v3) = (Vector256.Load(from), Vector256.Load(from + row), Vector256.Load(from + (2 * row)), Vector256.Load(from + (3 * row)));
            (r0, r1) = (v0 + v1 + v2, v1 - v2 - v3);
        }
    }

    /// <summary>A dY A', where dY is the gradient at the position that counted, and the biases' gradient: the way back of <see cref="TransformOutput"/>.</summary>
    /// <param name="biasGradient"><c>[filters]</c>, to which theirs is added.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TransformOutputBack(Maps outputGradient, int first, int count, uint* argmax, float* tiles, float* biasGradient)
    {
        var plane = (nint)OutputPlane;
        for (var tile = 0; tile < count; tile++)
        {
            var gradients = Window(outputGradient, first + tile);
            for (var filter = 0; filter < filters; filter += Lanes)
            {
                var positions = *argmax++;
                var gradient = Vector256.Load(gradients + filter);
                var v0 = PoolRelu.Backward(gradient, positions & 0xFF);
                var v1 = PoolRelu.Backward(gradient, (positions >> 8) & 0xFF);
                var v2 = PoolRelu.Backward(gradient, (positions >> 16) & 0xFF);
                var v3 = PoolRelu.Backward(gradient, positions >> 24);
                (Vector256.Load(biasGradient + filter) + (v0 + v1 + (v2 + v3))).Store(biasGradient + filter);

                var to = tiles + (tile * filters) + filter;
                Write(v0, v1, to, plane);
                Write(v0 + v2, v1 + v3, to + (4 * plane), plane);
                Write(v0 - v2, v1 - v3, to + (8 * plane), plane);
                Write(-v2, -v3, to + (12 * plane), plane);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Write(Vector256<float> left, Vector256<float> right, float* to, nint plane)
        {
            left.Store(to);
            (left + right).Store(to + plane);
            (left - right).Store(to + (2 * plane));
            (-right).Store(to + (3 * plane));
        }
    }

    // The first of a tile's 4x4 inputs, which begins on the border above and to the left of the window.
    private float* Corner(Maps padded, int tile)
    {
        var (image, window) = Math.DivRem(tile, PerImage);
        var (y, x) = Math.DivRem(window, _outputWidth);
        return padded.Row(image, (2 * y) - 1) + (((2 * x) - 1) * channels);
    }

    private float* Window(Maps maps, int tile)
    {
        var (image, window) = Math.DivRem(tile, PerImage);
        var (y, x) = Math.DivRem(window, _outputWidth);
        return maps.Row(image, y) + (x * filters);
    }
}
