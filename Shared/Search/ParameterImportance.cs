namespace MlExperiments.Shared.Search;

/// <summary>One parameter over the experiments that are compared.</summary>
/// <param name="Values">One an experiment; of words, their places in some order.</param>
public sealed record ParameterColumn(string Name, IReadOnlyList<double> Values);

/// <param name="Share">Of the metric's variance, what this parameter explains by itself, 0 to 1.</param>
/// <param name="Values">How many values of it were tried.</param>
public sealed record ParameterShare(string Name, double Share, int Values);

/// <param name="Share">Of the metric's variance, what the two explain together beyond what each explains by itself, 0 to 1.</param>
public sealed record PairShare(string First, string Second, double Share);

/// <summary>How much of a metric's variance each parameter explains.</summary>
/// <param name="IsGrid">True where every combination of the values was measured, so that the shares are exact; else they are a forest's.</param>
/// <param name="Explained">
/// Of a forest, the share of the variance that it predicts of experiments that it has not seen (R squared, out of bag; at most 1, below 0 where it knows
/// nothing). Of a grid, the share that is not between repetitions of the same combination; null where nothing was repeated.
/// </param>
/// <param name="Parameters">Those of more than one value, most important first.</param>
/// <param name="Pairs">Of the <see cref="ParameterImportance.MaxPaired"/> most important of these, most important first.</param>
/// <param name="Others">What is left: what only three or more parameters explain together, and pairs of less important ones, 0 to 1.</param>
public sealed record ImportanceResult(
    bool IsGrid, double? Explained, IReadOnlyList<ParameterShare> Parameters, IReadOnlyList<PairShare> Pairs, double Others);

/// <summary>
/// Functional analysis of variance: Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014. On a
/// complete grid it is the classical one (eta squared) on the means of the combinations; elsewhere, that of a random forest, averaged over its trees. Every value that was tried
/// counts alike, and a parameter of many values is taken in <see cref="MaxBins"/> ranges of equally many experiments, so that scales don't matter.
/// </summary>
/// <remarks>
/// It speaks of the values that were tried and of no others; parameters that were only changed together can't be told apart; a few extreme
/// values rule the variance of a metric without bounds, such as loss; without repetitions chance looks like an effect; and a forest underrates pairs whose
/// parameters have no effect by themselves.
/// </remarks>
public static class ParameterImportance
{
    /// <summary>With fewer, anything explains everything.</summary>
    public const int MinExperiments = 4;

    public const int MaxBins = 16;

    /// <summary>Of so many parameters the pairs are measured: beyond, they are many, and next to nothing each.</summary>
    public const int MaxPaired = 8;

    // Of the metric's variance: less is what is left of rounding.
    private const double Nothing = 1e-12;

    /// <param name="values">The metric, finite; one an experiment.</param>
    /// <param name="reason">Why there is nothing to tell, and what to do; then the result is null.</param>
    public static ImportanceResult? Measure(
        IReadOnlyList<ParameterColumn> columns, IReadOnlyList<double> values, out string? reason, CancellationToken cancellationToken = default)
    {
        var varying = columns.Where(column => column.Values.Distinct().Take(2).Count() == 2).ToArray();
        reason = values.Count < MinExperiments
            ? $"{values.Count} experiments have this metric: it takes {MinExperiments} at least. Wait for more to complete, or leave out filters."
            : varying.Length == 0
                ? "These experiments differ in no parameter: generate some that do."
                : values.Distinct().Take(2).Count() < 2
                    ? "This metric is the same for all of these experiments: there is nothing to explain."
                    : null;
        if (reason is not null)
            return null;

        var average = values.Average();
        double[] targets = [.. values.Select(value => value - average)];
        var binned = varying.Select(column => Binning.Of(column.Values)).ToArray();
        int[] bins = [.. binned.Select(binning => binning.Count)];
        int[][] rows = [.. Enumerable.Range(0, targets.Length).Select(row => binned.Select(binning => binning.Places[row]).ToArray())];
        var cells = binned.All(binning => binning.IsExact) ? CompleteGrid(rows, targets, bins) : null;
        if (cells is null)
        {
            var forest = RegressionForest.Grow(rows, targets, bins, cancellationToken);
            return Result(forest.Boxes, forest.Variance, forest.Explained, out reason);
        }

        Box[] means = [.. cells.Select(cell => new Box(cell[0].Row, [.. cell[0].Row.Select(place => place + 1)], cell.Average(each => each.Target)))];
        var within = cells.Zip(means, (cell, mean) => cell.Sum(each => (each.Target - mean.Value) * (each.Target - mean.Value))).Sum();
        return Result(
            means,
            VarianceDecomposition.Variance(bins, means),
            cells.Length < rows.Length ? 1 - (within / targets.Sum(target => target * target)) : null,
            out reason);

        ImportanceResult? Result(IReadOnlyList<Box> boxes, double variance, double? explained, out string? reason)
        {
            var explainsNothing = variance <= Nothing * targets.Average(target => target * target);
            reason = explainsNothing ? "The combinations' means are equal: these parameters explain nothing of this metric. Generate other values of them." : null;
            return explainsNothing ? null : Split(varying, new VarianceDecomposition(bins, boxes, variance, cancellationToken), cells is not null, explained);
        }
    }

    private static ImportanceResult Split(ParameterColumn[] columns, VarianceDecomposition decomposition, bool isGrid, double? explained)
    {
        var shares = columns.Select((column, place) => new ParameterShare(column.Name, Tidy(decomposition.Single(place)), column.Values.Distinct().Count())).ToArray();
        var singles = shares.OrderByDescending(parameter => parameter.Share).ToArray();
        var places = shares.Index().OrderByDescending(parameter => parameter.Item.Share).Take(MaxPaired).Select(parameter => parameter.Index).Order().ToArray();
        var pairs = places
            .SelectMany(first => places.Skip(first + 1), (first, second) => new PairShare(columns[first].Name, columns[second].Name, Tidy(decomposition.Pair(first, second))))
            .OrderByDescending(pair => pair.Share).ToArray();
        // Two or fewer leave nothing but rounding errors.
        var others = columns.Length < 3 ? 0 : Tidy(1 - singles.Sum(parameter => parameter.Share) - pairs.Sum(pair => pair.Share));
        return new ImportanceResult(isGrid, explained is { } share && double.IsFinite(share) ? Math.Round(share, 4) : null, singles, pairs, others);
    }

    /// <summary>The experiments by combination, where each combination was measured; else null.</summary>
    private static (int[] Row, double Target)[][]? CompleteGrid(int[][] rows, double[] targets, int[] bins)
    {
        var size = 1L;
        foreach (var count in bins)
        {
            size *= count;
            if (size > rows.Length)
                return null;
        }

        var cells = rows.Zip(targets)
            .GroupBy(each => each.First.Zip(bins).Aggregate(0L, (key, place) => (key * place.Second) + place.First), each => (Row: each.First, Target: each.Second))
            .Select(cell => cell.ToArray()).ToArray();
        return cells.Length == size ? cells : null;
    }

    /// <summary>Rounding errors leave a little below 0.</summary>
    private static double Tidy(double share) => double.IsFinite(share) ? Math.Round(Math.Clamp(share, 0, 1), 4) : 0;

    /// <param name="Places">The bin of each value, 0 to Count - 1.</param>
    /// <param name="IsExact">Whether each bin is one value.</param>
    private sealed record Binning(int[] Places, int Count, bool IsExact)
    {
        public static Binning Of(IReadOnlyList<double> values)
        {
            var distinct = values.Distinct().Order().ToArray();
            if (distinct.Length <= MaxBins)
                return new([.. values.Select(value => Array.BinarySearch(distinct, value))], distinct.Length, true);
            // By the place of the first of equal values: they share a bin.
            var firsts = new Dictionary<double, int>();
            foreach (var (place, value) in values.Order().Index())
                firsts.TryAdd(value, (int)((long)place * MaxBins / values.Count));
            var used = firsts.Values.Distinct().Order().ToArray();
            return new([.. values.Select(value => Array.BinarySearch(used, firsts[value]))], used.Length, false);
        }
    }
}
