using System.Runtime.Intrinsics.X86;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using static TorchSharp.torch;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>The first blocks of a <see cref="Cnn"/> on a CPU, as far as they are ours: from pixels to the maps that libtorch's calls go on with.</summary>
internal sealed unsafe class FusedBlocks : IDisposable
{
    /// <summary>Filters come in multiples of this: the blocks take so many at a time.</summary>
    private const int FilterGroup = MatrixProduct.ColumnGroup;

    private readonly PixelBlock _first;
    private readonly WinogradBlock[] _later;

    // Where each block's parameters begin in the flat tensor.
    private readonly int[] _offsets;
    private readonly long _height;
    private readonly long _width;
    private readonly int _filters;

    private FusedBlocks(ImageShape shape, int filters, int count)
    {
        _first = new(shape, filters);
        _later = new WinogradBlock[count - 1];
        _offsets = new int[count];
        var (height, width, channels, offset) = (shape.Height / 2, shape.Width / 2, filters, filters * ((9 * shape.Channels) + 1));
        for (var block = 1; block < count; block++)
        {
            _later[block - 1] = new(height, width, channels, 2 * filters);
            _offsets[block] = offset;
            offset += 2 * filters * ((9 * channels) + 1);
            (height, width, channels) = (height / 2, width / 2, 2 * filters);
        }

        (_height, _width, _filters) = (height, width, channels);
    }

    /// <summary>Whether this processor has the instructions. Those of ARM would do, but nobody has measured them against libtorch's.</summary>
    public static bool IsSupported => Fma.IsSupported;

    /// <summary>How many blocks they are.</summary>
    public int Count => _offsets.Length;

    /// <summary>The blocks that are there for such a network: null where none is.</summary>
    /// <param name="pooled">For each of the network's convolutions whether pooling follows.</param>
    public static FusedBlocks? Create(TrajectoryParameters parameters, ImageShape shape, IReadOnlyList<bool> pooled)
    {
        var filters = parameters.Filters;
        var isServed = IsSupported && Engine.Device == Engine.Cpu && parameters.KernelSize == 3 && pooled[0] && filters % FilterGroup == 0
            // A span's bytes: the first block's output is the largest, and alone it is a span.
            && (long)parameters.BatchSize * (shape.Height / 2) * (shape.Width / 2) * filters * sizeof(float) <= int.MaxValue;
        if (!isServed) return null;
        // What is to be computed in bfloat16 is libtorch's.
        return new(shape, filters, parameters.Precision == "float32" ? pooled.TakeWhile(isPooled => isPooled).Count() : 1);
    }

    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="parameters">Flat float32 that begins with each block's weights <c>[filters, 3, 3, c]</c> and biases <c>[filters]</c>.</param>
    /// <param name="training">Whether a backward pass follows, before any other forward pass.</param>
    /// <returns>float32 <c>[n, h', w', filters]</c>; while training a leaf, where autograd's backward pass ends and this one's begins.</returns>
    /// <exception cref="OutOfMemoryException">There is no room for the maps between the blocks.</exception>
    public Tensor Forward(Tensor images, Tensor parameters, bool training)
    {
        var count = (int)images.shape[0];
        var result = empty([count, _height, _width, _filters], ScalarType.Float32).requires_grad_(training);
        fixed (float* flat = Engine.Floats(parameters), end = Engine.Floats(result))
        {
            _first.Forward(images.bytes, flat, OutputOf(0, count, end), training);
            for (var block = 1; block < Count; block++)
                _later[block - 1].Forward(flat + _offsets[block], count, OutputOf(block, count, end), training);
        }

        return result;
    }

    /// <summary>The backward pass of the latest forward pass, which was for training.</summary>
    /// <param name="images">That pass's.</param>
    /// <param name="outputGradient">float32 <c>[n, h', w', filters]</c>.</param>
    /// <param name="gradient">Flat float32: takes the blocks' parameters' gradients at its beginning.</param>
    public void Backward(Tensor images, Tensor outputGradient, Tensor gradient)
    {
        var count = (int)images.shape[0];
        fixed (float* flat = Engine.Floats(gradient), end = Engine.Floats(outputGradient))
        {
            var after = Unpadded(end);
            for (var block = Count - 1; block > 0; block--)
            {
                _later[block - 1].Backward(count, after, flat + _offsets[block]);
                after = _later[block - 1].InputGradient(count);
            }

            _first.Backward(images.bytes, after, flat);
        }
    }

    public void Dispose()
    {
        _first.Dispose();
        foreach (var block in _later) block.Dispose();
    }

    private Maps OutputOf(int block, int count, float* end) => block == _later.Length ? Unpadded(end) : _later[block].Input(count);

    private Maps Unpadded(float* maps) => new(maps, (nint)(_width * _filters), (nint)(_height * _width * _filters));
}
