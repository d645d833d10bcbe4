using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>2x2 max pooling and ReLU of one window for 8 filters at a time, and which position counted: all that the backward pass has to know.</summary>
internal static unsafe class PoolRelu
{
    /// <summary>Filters at a time.</summary>
    public const int Lanes = 8;

    /// <summary>
    /// The maximum of the window's positions, row by row, or 0 where that is less, minus infinity included. NaN where one of them is, as in libtorch;
    /// infinities of both signs together are NaN.
    /// </summary>
    /// <param name="output">Takes 8 values.</param>
    /// <returns>A byte for each position, the first one lowest: the filters whose maximum it is, above 0. Of equal ones it is the first.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Forward(Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, float* output)
    {
        var max = v0;
        var is1 = Vector256.GreaterThan(v1, max);
        max = Vector256.ConditionalSelect(is1, v1, max);
        var is2 = Vector256.GreaterThan(v2, max);
        max = Vector256.ConditionalSelect(is2, v2, max);
        var is3 = Vector256.GreaterThan(v3, max);
        max = Vector256.ConditionalSelect(is3, v3, max);

        var sum = v0 + v1 + (v2 + v3);
        max = Vector256.ConditionalSelect(Vector256.Equals(sum, sum), max, sum);

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

    /// <summary>The gradient by one position.</summary>
    /// <param name="outputGradient">Of the window's 8 outputs.</param>
    /// <param name="filters">The filters whose maximum the position is, a bit each.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Backward(Vector256<float> outputGradient, uint filters)
    {
        var laneBits = Vector256.Create(1, 2, 4, 8, 16, 32, 64, 128);
        return outputGradient & Vector256.Equals(Vector256.Create((int)filters) & laneBits, laneBits).AsSingle();
    }
}
