using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>The weights' side of Winograd's F(2x2, 3x3): G g G' for each filter and channel, 16 values of 9, and its transposed for the gradient.</summary>
internal static unsafe class WinogradWeights
{
    private const int Points = 16;
    private const int Taps = 9;
    private const int Lanes = 8;

    // Values of a cache line: both sides of a transposition go line by line.
    private const int Block = 16;

    /// <param name="weights"><c>[filters, 3, 3, channels]</c>; filters and channels are multiples of 16.</param>
    /// <param name="byFilter">Takes <c>[16, filters, channels]</c>.</param>
    /// <param name="byChannel">Takes the same as <c>[16, channels, filters]</c>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transform(float* weights, int filters, int channels, float* byFilter, float* byChannel)
    {
        var plane = (nint)filters * channels;
        var half = Vector256.Create(0.5f);
        var rows = stackalloc Vector256<float>[12];
        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < channels; channel += Lanes)
            {
                var from = weights + (filter * Taps * channels) + channel;
                var to = byFilter + (filter * channels) + channel;
                for (var x = 0; x < 3; x++, from += channels)
                {
                    var (top, middle, bottom) = (Vector256.Load(from), Vector256.Load(from + (3 * channels)), Vector256.Load(from + (6 * channels)));
                    Spread(top, middle, bottom, half, out rows[x], out rows[3 + x], out rows[6 + x], out rows[9 + x]);
                }

                for (var y = 0; y < 4; y++, to += 4 * plane)
                {
                    Spread(rows[3 * y], rows[(3 * y) + 1], rows[(3 * y) + 2], half, out var c0, out var c1, out var c2, out var c3);
                    c0.Store(to);
                    c1.Store(to + plane);
                    c2.Store(to + (2 * plane));
                    c3.Store(to + (3 * plane));
                }
            }
        }

        for (var point = 0; point < Points; point++, byFilter += plane, byChannel += plane) Transpose(byFilter, filters, channels, byChannel);
    }

    /// <param name="transformed"><c>[16, filters, channels]</c>.</param>
    /// <param name="gradient">Takes <c>[filters, 3, 3, channels]</c>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void TransformBack(float* transformed, int filters, int channels, float* gradient)
    {
        var plane = (nint)filters * channels;
        var half = Vector256.Create(0.5f);
        var rows = stackalloc Vector256<float>[12];
        for (var filter = 0; filter < filters; filter++)
        {
            for (var channel = 0; channel < channels; channel += Lanes)
            {
                var from = transformed + (filter * channels) + channel;
                var to = gradient + (filter * Taps * channels) + channel;
                for (var x = 0; x < 4; x++, from += plane)
                {
                    Gather(
                        Vector256.Load(from), Vector256.Load(from + (4 * plane)), Vector256.Load(from + (8 * plane)), Vector256.Load(from + (12 * plane)), half,
                        out rows[x], out rows[4 + x], out rows[8 + x]);
                }

                for (var y = 0; y < 3; y++, to += 3 * channels)
                {
                    Gather(rows[4 * y], rows[(4 * y) + 1], rows[(4 * y) + 2], rows[(4 * y) + 3], half, out var left, out var middle, out var right);
                    left.Store(to);
                    middle.Store(to + channels);
                    right.Store(to + (2 * channels));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* from, int rows, int columns, float* to)
    {
        for (var row = 0; row < rows; row += Block)
        {
            for (var column = 0; column < columns; column += Block)
            {
                for (var x = column; x < column + Block; x++)
                {
                    for (var y = row; y < row + Block; y++) to[(x * rows) + y] = from[(y * columns) + x];
                }
            }
        }
    }

    // G of three.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Spread(
        Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> half,
        out Vector256<float> r0, out Vector256<float> r1, out Vector256<float> r2, out Vector256<float> r3)
    {
        var outer = (v0 + v2) * half;
        var inner = v1 * half;
        (r0, r1, r2, r3) = (v0, outer + inner, outer - inner, v2);
    }

    // G' of four.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Gather(
        Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, Vector256<float> half,
        out Vector256<float> r0, out Vector256<float> r1, out Vector256<float> r2)
    {
        var sum = (v1 + v2) * half;
        (r0, r1, r2) = (v0 + sum, (v1 - v2) * half, sum + v3);
    }
}
