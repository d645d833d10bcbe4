using System.Runtime.Intrinsics;
using MlExperiments.Training.Models.Kernels;

namespace MlExperiments.Training.Tests.Models.Kernels;

public sealed unsafe class MatrixProductTests
{
    [SetUp]
    public void SkipWhereThereIsNone()
    {
        if (!FusedBlocks.IsSupported) Assert.Ignore("This processor has no fused multiplications.");
    }

    [TestCase(8, 1, 16)]
    [TestCase(16, 5, 32)]
    [TestCase(48, 64, 48)]
    public void Multiply_InVectorsOfAnyWidth_GivesTheSumsOfProducts(int rows, int depth, int columns)
    {
        foreach (var isTransposed in new[] { false, true })
        {
            foreach (var add in new[] { false, true })
            {
                var (left, right) = (Values(rows * depth, 1), Values(depth * columns, 2));
                var (rowStride, depthStride) = isTransposed ? (1, rows) : (depth, 1);
                var expected = Values(rows * columns, 3);
                for (var row = 0; row < rows; row++)
                {
                    for (var column = 0; column < columns; column++)
                    {
                        var sum = add ? (double)expected[(row * columns) + column] : 0;
                        for (var i = 0; i < depth; i++) sum += (double)left[(row * rowStride) + (i * depthStride)] * right[(i * columns) + column];
                        expected[(row * columns) + column] = (float)sum;
                    }
                }

                var (byFour, chosen) = (Values(rows * columns, 3), Values(rows * columns, 3));
                fixed (float* a = left, b = right, four = byFour, result = chosen)
                {
                    MatrixProduct.MultiplyByFourRows(a, rowStride, depthStride, b, columns, four, columns, rows, depth, columns, add);
                    MatrixProduct.Multiply(a, rowStride, depthStride, b, result, rows, depth, columns, add);
                }

                Assert.That(chosen, Is.EqualTo(expected).Within(1e-5));
                Assert.That(chosen, Is.EqualTo(byFour), $"the same bits, by eight rows or four (Vector512: {Vector512.IsHardwareAccelerated})");
            }
        }
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }
}
