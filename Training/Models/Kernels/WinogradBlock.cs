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
    private const int Taps = 9;

    private readonly WinogradTiles _tiles = new(height, width, channels, filters);
    private readonly int _groups = filters / PoolRelu.Lanes;

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
        var tiles = count * _tiles.PerImage;
        var argmax = training ? _argmax.AtLeast((long)tiles * _groups) : null;
        var weights = _weightsByChannel.AtLeast(WinogradTiles.Points * WeightsPlane);
        WinogradWeights.Transform(parameters, filters, channels, _weights.AtLeast(WinogradTiles.Points * WeightsPlane), weights);
        var inputTiles = _inputTiles.AtLeast(WinogradTiles.Points * _tiles.InputPlane);
        var outputTiles = _outputTiles.AtLeast(WinogradTiles.Points * _tiles.OutputPlane);
        for (var first = 0; first < tiles; first += WinogradTiles.AtOnce)
        {
            var some = Math.Min(WinogradTiles.AtOnce, tiles - first);
            _tiles.TransformInput(input, first, some, inputTiles);
            for (var point = 0; point < WinogradTiles.Points; point++)
            {
                MatrixProduct.Multiply(
                    inputTiles + (point * _tiles.InputPlane), channels, 1, weights + (point * WeightsPlane), outputTiles + (point * _tiles.OutputPlane),
                    InRowGroups(some), channels, filters, add: false);
            }

            _tiles.TransformOutput(outputTiles, bias, output, first, some, training ? argmax + ((nint)first * _groups) : null);
        }
    }

    /// <summary>The backward pass of the latest forward pass, which was for training: its input is still there.</summary>
    /// <param name="count">That pass's.</param>
    /// <param name="outputGradient"><c>[n, h / 2, w / 2, filters]</c>.</param>
    /// <param name="gradient">Takes the weights' and the biases' gradients, in the order of the parameters.</param>
    public void Backward(int count, Maps outputGradient, float* gradient)
    {
        var (input, inputGradient) = (Input(count), InputGradient(count));
        _inputGradient.Clear((long)count * PaddedSize);
        var biasGradient = gradient + (WeightsPlane * Taps);
        new Span<float>(biasGradient, filters).Clear();
        var tiles = count * _tiles.PerImage;
        var argmax = _argmax.AtLeast((long)tiles * _groups);
        var weights = _weights.AtLeast(WinogradTiles.Points * WeightsPlane);
        var weightsGradient = _weightsGradient.AtLeast(WinogradTiles.Points * WeightsPlane);
        var inputTiles = _inputTiles.AtLeast(WinogradTiles.Points * _tiles.InputPlane);
        var outputTiles = _outputTiles.AtLeast(WinogradTiles.Points * _tiles.OutputPlane);
        for (var first = 0; first < tiles; first += WinogradTiles.AtOnce)
        {
            var some = Math.Min(WinogradTiles.AtOnce, tiles - first);
            _tiles.TransformInput(input, first, some, inputTiles);
            _tiles.TransformOutputBack(outputGradient, first, some, argmax + ((nint)first * _groups), outputTiles, biasGradient);
            for (var point = 0; point < WinogradTiles.Points; point++)
            {
                var inputPlane = inputTiles + (point * _tiles.InputPlane);
                var outputPlane = outputTiles + (point * _tiles.OutputPlane);
                MatrixProduct.Multiply(outputPlane, 1, filters, inputPlane, weightsGradient + (point * WeightsPlane), filters, some, channels, add: first > 0);
                // The input's tiles are no longer needed: their gradient takes their place.
                MatrixProduct.Multiply(outputPlane, filters, 1, weights + (point * WeightsPlane), inputPlane, InRowGroups(some), filters, channels, add: false);
            }

            _tiles.TransformInputBack(inputTiles, inputGradient, first, some);
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
}
