using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>
/// A dense layer with ReLU, <c>relu(x W' + b)</c>, and its backward pass. Its products are <see cref="MatrixProduct"/>'s, cut into pieces that stay in the
/// processor's caches: MKL, below libtorch's calls, reaches half of the speed of the AMD processor that it was measured on.
/// </summary>
/// <remarks>Sums are in float32 in a fixed order. One thread, one pass at a time.</remarks>
/// <param name="inputs">A multiple of <see cref="MatrixProduct.ColumnGroup"/>.</param>
/// <param name="units">A multiple of <see cref="MatrixProduct.RowGroup"/>.</param>
internal sealed unsafe class DenseBlock(int inputs, int units) : IDisposable
{
    // So that a panel fits in the L1 cache: 256 inputs of 16 images (forward), or 64 inputs of 64 images (backward), take 16 KiB.
    private const int DepthAtOnce = 256;
    private const int InputsAtOnce = 64;

    // [input, image] of some inputs; [image, input] or [unit, input] of some inputs.
    private readonly NativeBuffer<float> _transposed = new();
    private readonly NativeBuffer<float> _panel = new();

    // [unit, image], and the gradient by the units' sums [image, unit].
    private readonly NativeBuffer<float> _sums = new();
    private readonly NativeBuffer<float> _sumsGradient = new();

    /// <summary>Whether the kernel supports these sizes.</summary>
    public static bool IsServed(long inputs, int units) => inputs % MatrixProduct.ColumnGroup == 0 && units % MatrixProduct.RowGroup == 0;

    /// <summary>The rows that <see cref="Backward"/> writes of the input's gradient; rows after the last image are padding.</summary>
    public static int Rows(int count) => Round(count, MatrixProduct.RowGroup);

    /// <param name="x"><c>[n, inputs]</c>.</param>
    /// <param name="parameters">The weights <c>[units, inputs]</c>, then the biases <c>[units]</c>.</param>
    /// <param name="count">n.</param>
    /// <param name="output">Takes <c>[n, units]</c>.</param>
    public void Forward(float* x, float* parameters, int count, float* output)
    {
        var columns = Round(count, MatrixProduct.ColumnGroup);
        var sums = _sums.AtLeast((long)units * columns);
        var transposed = _transposed.AtLeast((long)DepthAtOnce * columns);
        for (var first = 0; first < inputs; first += DepthAtOnce)
        {
            var depth = Math.Min(DepthAtOnce, inputs - first);
            for (var image = 0; image < columns; image += MatrixProduct.ColumnGroup)
            {
                var panel = transposed + ((nint)image * DepthAtOnce);
                Transpose(x + ((nint)image * inputs) + first, Math.Min(MatrixProduct.ColumnGroup, count - image), depth, panel);
                MatrixProduct.Multiply(
                    parameters + first, inputs, 1, panel, MatrixProduct.ColumnGroup, sums + image, columns, units, depth, MatrixProduct.ColumnGroup, add: first > 0);
            }
        }

        var bias = parameters + ((nint)units * inputs);
        for (var unit = 0; unit < units; unit++)
        {
            // NaN stays, as in libtorch.
            for (var image = 0; image < count; image++) output[((nint)image * units) + unit] = MathF.Max(sums[((nint)unit * columns) + image] + bias[unit], 0);
        }
    }

    /// <summary>The backward pass.</summary>
    /// <param name="x">What <see cref="Forward"/> was given; likewise the parameters and the count.</param>
    /// <param name="output">What it made.</param>
    /// <param name="outputGradient"><c>[n, units]</c>.</param>
    /// <param name="gradient">Takes the weights' and the biases' gradients, in the order of the parameters.</param>
    /// <param name="inputGradient">Takes <c>[<see cref="Rows"/>, inputs]</c>.</param>
    public void Backward(float* x, float* parameters, int count, float* output, float* outputGradient, float* gradient, float* inputGradient)
    {
        var rows = Rows(count);
        var sumsGradient = _sumsGradient.AtLeast((long)rows * units);
        var biasGradient = new Span<float>(gradient + ((nint)units * inputs), units);
        biasGradient.Clear();
        for (var image = 0; image < count; image++)
        {
            for (var unit = 0; unit < units; unit++)
            {
                var at = ((nint)image * units) + unit;
                sumsGradient[at] = output[at] <= 0 ? 0 : outputGradient[at];
                biasGradient[unit] += sumsGradient[at];
            }
        }

        new Span<float>(sumsGradient + ((nint)count * units), (rows - count) * units).Clear();
        var panel = _panel.AtLeast((long)Math.Max(count, units) * InputsAtOnce);
        for (var first = 0; first < inputs; first += InputsAtOnce)
        {
            var some = Math.Min(InputsAtOnce, inputs - first);
            Cut(x + first, count, some, panel);
            MatrixProduct.Multiply(sumsGradient, 1, units, panel, some, gradient + first, inputs, units, count, some, add: false);
            Cut(parameters + first, units, some, panel);
            MatrixProduct.Multiply(sumsGradient, units, 1, panel, some, inputGradient + first, inputs, rows, units, some, add: false);
        }
    }

    public void Dispose()
    {
        _transposed.Dispose();
        _panel.Dispose();
        _sums.Dispose();
        _sumsGradient.Dispose();
    }

    private static int Round(int count, int group) => (count + group - 1) / group * group;

    /// <summary>Some inputs of 16 images as <c>[input, 16]</c>; images that aren't there are zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Transpose(float* x, int images, int count, float* to)
    {
        for (var image = 0; image < MatrixProduct.ColumnGroup; image++)
        {
            var from = x + ((nint)image * inputs);
            var values = to + image;
            if (image < images)
                for (var input = 0; input < count; input++) values[input * MatrixProduct.ColumnGroup] = from[input];
            else
                for (var input = 0; input < count; input++) values[input * MatrixProduct.ColumnGroup] = 0;
        }
    }

    /// <summary>Some inputs of each row, one row behind another.</summary>
    private void Cut(float* from, int rows, int count, float* to)
    {
        for (var row = 0; row < rows; row++)
            NativeMemory.Copy(from + ((nint)row * inputs), to + (row * count), (nuint)count * sizeof(float));
    }
}
