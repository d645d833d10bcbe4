using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MlExperiments.Training.Models.Kernels;

/// <summary>
/// Products of small matrices that lie in the processor's caches, 8 x 16 (with AVX-512) or 4 x 16 values of the result at a time in registers. Each value is
/// summed in the order of the depth by fused multiplications, whatever the vectors' width: the bits are the same.
/// </summary>
internal static unsafe class MatrixProduct
{
    /// <summary>The rows that are computed at a time.</summary>
    public const int RowGroup = 8;

    /// <summary>The columns that are computed at a time.</summary>
    public const int ColumnGroup = 16;

    /// <summary><c>result [rows, columns] = left [rows, depth] x right [depth, columns]</c>, or added to what is there.</summary>
    /// <param name="rows">A multiple of <see cref="RowGroup"/>.</param>
    /// <param name="columns">A multiple of <see cref="ColumnGroup"/>.</param>
    /// <param name="leftRow">Values of the left matrix from one row to the next.</param>
    /// <param name="leftDepth">And from one column to the next: 1, or with a <paramref name="leftRow"/> of 1 it is read transposed.</param>
    /// <param name="rightRow">Values of the right matrix from one row to the next.</param>
    /// <param name="resultRow">Values of the result from one row to the next.</param>
    /// <param name="add">Whether to add to the result.</param>
    public static void Multiply(
        float* left, nint leftRow, nint leftDepth, float* right, nint rightRow, float* result, nint resultRow, int rows, int depth, int columns, bool add)
    {
        if (Vector512.IsHardwareAccelerated) MultiplyByEightRows(left, leftRow, leftDepth, right, rightRow, result, resultRow, rows, depth, columns, add);
        else MultiplyByFourRows(left, leftRow, leftDepth, right, rightRow, result, resultRow, rows, depth, columns, add);
    }

    /// <summary>The same where the rows of the right matrix and of the result lie one behind another.</summary>
    public static void Multiply(float* left, nint leftRow, nint leftDepth, float* right, float* result, int rows, int depth, int columns, bool add) =>
        Multiply(left, leftRow, leftDepth, right, columns, result, columns, rows, depth, columns, add);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyByEightRows(
        float* left, nint leftRow, nint leftDepth, float* right, nint rightRow, float* result, nint resultRow, int rows, int depth, int columns, bool add)
    {
        for (var column = 0; column < columns; column += ColumnGroup)
        {
            for (var row = 0; row < rows; row += 8)
            {
                var to = result + (row * resultRow) + column;
                Vector512<float> s0, s1, s2, s3, s4, s5, s6, s7;
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = Vector512<float>.Zero;
                if (add)
                {
                    s0 = Vector512.Load(to);
                    s1 = Vector512.Load(to + resultRow);
                    s2 = Vector512.Load(to + (2 * resultRow));
                    s3 = Vector512.Load(to + (3 * resultRow));
                    s4 = Vector512.Load(to + (4 * resultRow));
                    s5 = Vector512.Load(to + (5 * resultRow));
                    s6 = Vector512.Load(to + (6 * resultRow));
                    s7 = Vector512.Load(to + (7 * resultRow));
                }

                var top = left + (row * leftRow);
                var bottom = top + (4 * leftRow);
                var from = right + column;
                for (var i = 0; i < depth; i++, top += leftDepth, bottom += leftDepth, from += rightRow)
                {
                    var values = Vector512.Load(from);
                    s0 = Vector512.FusedMultiplyAdd(values, Vector512.Create(top[0]), s0);
                    s1 = Vector512.FusedMultiplyAdd(values, Vector512.Create(top[leftRow]), s1);
                    s2 = Vector512.FusedMultiplyAdd(values, Vector512.Create(top[2 * leftRow]), s2);
                    s3 = Vector512.FusedMultiplyAdd(values, Vector512.Create(top[3 * leftRow]), s3);
                    s4 = Vector512.FusedMultiplyAdd(values, Vector512.Create(bottom[0]), s4);
                    s5 = Vector512.FusedMultiplyAdd(values, Vector512.Create(bottom[leftRow]), s5);
                    s6 = Vector512.FusedMultiplyAdd(values, Vector512.Create(bottom[2 * leftRow]), s6);
                    s7 = Vector512.FusedMultiplyAdd(values, Vector512.Create(bottom[3 * leftRow]), s7);
                }

                s0.Store(to);
                s1.Store(to + resultRow);
                s2.Store(to + (2 * resultRow));
                s3.Store(to + (3 * resultRow));
                s4.Store(to + (4 * resultRow));
                s5.Store(to + (5 * resultRow));
                s6.Store(to + (6 * resultRow));
                s7.Store(to + (7 * resultRow));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void MultiplyByFourRows(
        float* left, nint leftRow, nint leftDepth, float* right, nint rightRow, float* result, nint resultRow, int rows, int depth, int columns, bool add)
    {
        for (var column = 0; column < columns; column += ColumnGroup)
        {
            for (var row = 0; row < rows; row += 4)
            {
                var to = result + (row * resultRow) + column;
                var toNext = to + 8;
                Vector256<float> s0, s1, s2, s3, t0, t1, t2, t3;
                s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = Vector256<float>.Zero;
                if (add)
                {
                    s0 = Vector256.Load(to);
                    s1 = Vector256.Load(to + resultRow);
                    s2 = Vector256.Load(to + (2 * resultRow));
                    s3 = Vector256.Load(to + (3 * resultRow));
                    t0 = Vector256.Load(toNext);
                    t1 = Vector256.Load(toNext + resultRow);
                    t2 = Vector256.Load(toNext + (2 * resultRow));
                    t3 = Vector256.Load(toNext + (3 * resultRow));
                }

                var at = left + (row * leftRow);
                var from = right + column;
                for (var i = 0; i < depth; i++, at += leftDepth, from += rightRow)
                {
                    var values = Vector256.Load(from);
                    var next = Vector256.Load(from + 8);
                    var factor = Vector256.Create(at[0]);
                    s0 = Vector256.FusedMultiplyAdd(values, factor, s0);
                    t0 = Vector256.FusedMultiplyAdd(next, factor, t0);
                    factor = Vector256.Create(at[leftRow]);
                    s1 = Vector256.FusedMultiplyAdd(values, factor, s1);
                    t1 = Vector256.FusedMultiplyAdd(next, factor, t1);
                    factor = Vector256.Create(at[2 * leftRow]);
                    s2 = Vector256.FusedMultiplyAdd(values, factor, s2);
                    t2 = Vector256.FusedMultiplyAdd(next, factor, t2);
                    factor = Vector256.Create(at[3 * leftRow]);
                    s3 = Vector256.FusedMultiplyAdd(values, factor, s3);
                    t3 = Vector256.FusedMultiplyAdd(next, factor, t3);
                }

                s0.Store(to);
                s1.Store(to + resultRow);
                s2.Store(to + (2 * resultRow));
                s3.Store(to + (3 * resultRow));
                t0.Store(toNext);
                t1.Store(toNext + resultRow);
                t2.Store(toNext + (2 * resultRow));
                t3.Store(toNext + (3 * resultRow));
            }
        }
    }
}
