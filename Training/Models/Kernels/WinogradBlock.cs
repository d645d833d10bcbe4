using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>
/// A later block of a <see cref="Cnn"/>: 3x3 convolution with same padding, bias, 2x2 max pooling and ReLU, by Winograd's minimal filtering F(2x2, 3x3) (Lavin
/// and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): a tile of 4x4 inputs makes the 2x2 outputs of one pooling window with 16
/// multiplications for each input channel and filter instead of 36. The backward pass is the transposed of the same three steps, so that it takes as few.
/// </summary>
/// <remarks>
/// A tile's 16 values are apart: for each there is a product of matrices over some tiles, which stay in the cache from the transformation before to the one
/// after. Outputs that pooling leaves out are not computed. Sums are in float32 in a fixed order: channel by channel, and for the parameters' gradients tile by
/// tile over the whole batch. One thread, one pass at a time.
/// </remarks>
/// <param name="height">Of the input, at least 2; likewise the width.</param>
/// <param name="channels">Of the input, a multiple of <see cref="MatrixProduct.ColumnGroup"/>; likewise the filters.</param>
internal sealed unsafe class WinogradBlock(int height, int width, int channels, int filters) : IDisposable
{
    /// <summary>Values of a tile.</summary>
    private const int Points = 16;

    /// <summary>Tiles at a time: a multiple of <see cref="MatrixProduct.RowGroup"/>.</summary>
    private const int TilesAtOnce = 48;

    private const int Lanes = PoolRelu.Lanes;
    private const int Taps = 9;

    // Planes as far apart as a power of two would share few of the cache's lines.
    private const int PlanePadding = 16;

    private readonly int _outputHeight = height / 2;
    private readonly int _outputWidth = width / 2;
    private readonly int _groups = filters / Lanes;
    private readonly int _inputPlane = (TilesAtOnce * channels) + PlanePadding;
    private readonly int _outputPlane = (TilesAtOnce * filters) + PlanePadding;

    // [n, h + 2, w + 2, channels] with a border of zeros; the gradient's border takes what belongs to none.
    private readonly NativeBuffer<float> _input = new();
    private readonly NativeBuffer<float> _inputGradient = new();

    // Transformed weights, [point, filter, channel] and [point, channel, filter], and the gradient by the first of them.
    private readonly NativeBuffer<float> _weights = new();
    private readonly NativeBuffer<float> _weightsByChannel = new();
    private readonly NativeBuffer<float> _weightsGradient = new();

    // Of some tiles, [point, tile, channel] and [point, tile, filter].
    private readonly NativeBuffer<float> _inputTiles = new();
    private readonly NativeBuffer<float> _outputTiles = new();

    // For each window and each vector of filters what PoolRelu says of it.
    private readonly NativeBuffer<uint> _argmax = new();

    private int WeightsPlane => channels * filters;

    private int TilesPerImage => _outputHeight * _outputWidth;

    /// <summary>Where <see cref="Forward"/> finds its input <c>[n, h, w, channels]</c>, and <see cref="Backward"/> again.</summary>
    public Maps Input(int count) => Inside(_input, count);

    /// <summary>Where <see cref="Backward"/> leaves the gradient by the input, <c>[n, h, w, channels]</c>.</summary>
    public Maps InputGradient(int count) => Inside(_inputGradient, count);

    /// <param name="parameters">The weights <c>[filters, 3, 3, channels]</c>, then the biases <c>[filters]</c>.</param>
    /// <param name="count">n, the images of the input.</param>
    /// <param name="output">Takes <c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="training">Whether a backward pass follows, before any other forward pass.</param>
    public void Forward(float* parameters, int count, Maps output, bool training)
    {
        var input = Input(count);
        var bias = parameters + (WeightsPlane * Taps);
        var tiles = count * TilesPerImage;
        var argmax = training ? _argmax.AtLeast((long)tiles * _groups) : null;
        var weights = _weightsByChannel.AtLeast(Points * WeightsPlane);
        WinogradWeights.Transform(parameters, filters, channels, _weights.AtLeast(Points * WeightsPlane), weights);
        var inputTiles = _inputTiles.AtLeast(Points * _inputPlane);
        var outputTiles = _outputTiles.AtLeast(Points * _outputPlane);
        for (var first = 0; first < tiles; first += TilesAtOnce)
        {
            var some = Math.Min(TilesAtOnce, tiles - first);
            TransformInput(input, first, some, inputTiles);
            for (var point = 0; point < Points; point++)
            {
                MatrixProduct.Multiply(
                    inputTiles + (point * _inputPlane), channels, 1, weights + (point * WeightsPlane), outputTiles + (point * _outputPlane),
                    InRowGroups(some), channels, filters, add: false);
            }

            TransformOutput(outputTiles, bias, output, first, some, training ? argmax + ((nint)first * _groups) : null);
        }
    }

    /// <summary>The backward pass of the latest forward pass, which was for training: its input is still there.</summary>
    /// <param name="count">That pass's.</param>
    /// <param name="outputGradient"><c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="gradient">Takes the weights' and the biases' gradients, in the order of the parameters.</param>
    public void Backward(int count, Maps outputGradient, float* gradient)
    {
        var (input, inputGradient) = (Input(count), InputGradient(count));
        _inputGradient.Clear();
        var biasGradient = gradient + (WeightsPlane * Taps);
        new Span<float>(biasGradient, filters).Clear();
        var tiles = count * TilesPerImage;
        var argmax = _argmax.AtLeast((long)tiles * _groups);
        var weights = _weights.AtLeast(Points * WeightsPlane);
        var weightsGradient = _weightsGradient.AtLeast(Points * WeightsPlane);
        var inputTiles = _inputTiles.AtLeast(Points * _inputPlane);
        var outputTiles = _outputTiles.AtLeast(Points * _outputPlane);
        for (var first = 0; first < tiles; first += TilesAtOnce)
        {
            var some = Math.Min(TilesAtOnce, tiles - first);
            TransformInput(input, first, some, inputTiles);
            TransformOutputBack(outputGradient, first, some, argmax + ((nint)first * _groups), outputTiles, biasGradient);
            for (var point = 0; point < Points; point++)
            {
                var inputPlane = inputTiles + (point * _inputPlane);
                var outputPlane = outputTiles + (point * _outputPlane);
                MatrixProduct.Multiply(outputPlane, 1, filters, inputPlane, weightsGradient + (point * WeightsPlane), filters, some, channels, add: first > 0);
                // The input's tiles are no longer needed: their gradient takes their place.
                MatrixProduct.Multiply(outputPlane, filters, 1, weights + (point * WeightsPlane), inputPlane, InRowGroups(some), filters, channels, add: false);
            }

            TransformInputBack(inputTiles, inputGradient, first, some);
        }

        WinogradWeights.TransformBack(weightsGradient, filters, channels, gradient);
    }

    public void Dispose()
    {
        _input.Dispose();
        _inputGradient.Dispose();
        _weights.Dispose();
        _weightsByChannel.Dispose();
        _weightsGradient.Dispose();
        _inputTiles.Dispose();
        _outputTiles.Dispose();
        _argmax.Dispose();
    }

    private static int InRowGroups(int tiles) => (tiles + MatrixProduct.RowGroup - 1) / MatrixProduct.RowGroup * MatrixProduct.RowGroup;

    private int PaddedRow => (width + 2) * channels;

    private int PaddedSize => (height + 2) * PaddedRow;

    private Maps Inside(NativeBuffer<float> padded, int count) =>
        new(padded.AtLeast((long)count * PaddedSize) + PaddedRow + channels, PaddedRow, PaddedSize);

    // B' d B for each tile and channel.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TransformInput(Maps input, int first, int count, float* tiles)
    {
        var (row, plane) = (input.RowStride, (nint)_inputPlane);
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

    // Adds B dD B' to the gradient of each tile's inputs, which neighbouring tiles share.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TransformInputBack(float* tiles, Maps inputGradient, int first, int count)
    {
        var (row, plane) = (inputGradient.RowStride, (nint)_inputPlane);
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

    // A' m A, bias, pooling and ReLU.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TransformOutput(float* tiles, float* bias, Maps output, int first, int count, uint* argmax)
    {
        var plane = (nint)_outputPlane;
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

    // A dY A', where dY is the gradient at the position that counted, and the biases' gradient.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TransformOutputBack(Maps outputGradient, int first, int count, uint* argmax, float* tiles, float* biasGradient)
    {
        var plane = (nint)_outputPlane;
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
        var (image, window) = Math.DivRem(tile, TilesPerImage);
        var (y, x) = Math.DivRem(window, _outputWidth);
        return padded.Row(image, (2 * y) - 1) + (((2 * x) - 1) * channels);
    }

    private float* Window(Maps maps, int tile)
    {
        var (image, window) = Math.DivRem(tile, TilesPerImage);
        var (y, x) = Math.DivRem(window, _outputWidth);
        return maps.Row(image, y) + (x * filters);
    }
}
