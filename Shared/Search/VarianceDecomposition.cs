namespace MlExperiments.Shared.Search;

/// <summary>A part of the parameters' space where a function is constant: in each dimension, the bins <c>From</c> (included) to <c>To</c> (not).</summary>
internal sealed record Box(int[] From, int[] To, double Value);

/// <summary>
/// Splits the variance of a function over a space of bins, each bin as likely as the next, into what each dimension and each pair of them explains.
/// </summary>
/// <param name="bins">How many each dimension has.</param>
/// <param name="boxes">Their values, summed where they overlap, are the function.</param>
/// <param name="variance">The function's, above 0.</param>
internal sealed class VarianceDecomposition(int[] bins, IReadOnlyList<Box> boxes, double variance, CancellationToken cancellationToken)
{
    private readonly double?[] _singles = new double?[bins.Length];
    private readonly double _mean = boxes.Sum(box => box.Value * Volume(box, bins));
    private readonly double[] _volumes = [.. boxes.Select(box => Volume(box, bins))];

    /// <summary>Of boxes that do not overlap.</summary>
    public static double Variance(int[] bins, IReadOnlyList<Box> boxes)
    {
        var mean = boxes.Sum(box => box.Value * Volume(box, bins));
        return boxes.Sum(box => (box.Value - mean) * (box.Value - mean) * Volume(box, bins));
    }

    /// <summary>The share that a dimension explains by itself.</summary>
    public double Single(int dimension) => _singles[dimension] ??= Marginal(dimension, null) / variance;

    /// <summary>The share that two explain together, beyond what each explains by itself.</summary>
    public double Pair(int first, int second) => (Marginal(first, second) / variance) - Single(first) - Single(second);

    private static double Volume(Box box, int[] bins)
    {
        var volume = 1.0;
        for (var dimension = 0; dimension < bins.Length; dimension++)
            volume *= (double)(box.To[dimension] - box.From[dimension]) / bins[dimension];
        return volume;
    }

    /// <summary>The variance of the function's mean over all other dimensions. A box adds its corners to a table of differences, whose sums are the means.</summary>
    private double Marginal(int first, int? second)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (rows, columns) = (bins[first], second is { } given ? bins[given] : 1);
        var table = new double[rows + 1, columns + 1];
        for (var index = 0; index < boxes.Count; index++)
        {
            var box = boxes[index];
            var (top, bottom) = (box.From[first], box.To[first]);
            var (left, right) = second is { } other ? (box.From[other], box.To[other]) : (0, 1);
            var height = box.Value * _volumes[index] * rows * columns / ((bottom - top) * (right - left));
            table[top, left] += height;
            table[bottom, left] -= height;
            table[top, right] -= height;
            table[bottom, right] += height;
        }

        var squares = 0.0;
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                table[row, column] += (row > 0 ? table[row - 1, column] : 0) + (column > 0 ? table[row, column - 1] : 0)
                    - (row > 0 && column > 0 ? table[row - 1, column - 1] : 0);
                squares += (table[row, column] - _mean) * (table[row, column] - _mean);
            }
        }

        return squares / (rows * columns);
    }
}
