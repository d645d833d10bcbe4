namespace MlExperiments.Shared.Search;

/// <summary>
/// A random forest (Breiman 2001) of regression trees that are grown to the end: on a sample with replacement each, with two thirds of
/// the dimensions, chosen anew, at each split.
/// </summary>
internal sealed class RegressionForest
{
    private const int Trees = 64;
    private const int Probes = 4_000;

    /// <summary>The same experiments, the same forest.</summary>
    private const int Seed = 1;

    private RegressionForest(IReadOnlyList<Box> boxes, double variance, double explained) => (Boxes, Variance, Explained) = (boxes, variance, explained);

    /// <summary>The trees' leaves: their sum is what the forest predicts.</summary>
    public IReadOnlyList<Box> Boxes { get; }

    /// <summary>Of what it predicts over the space, measured at random places.</summary>
    public double Variance { get; }

    /// <summary>R squared out of bag: of each experiment by the trees that have not seen it.</summary>
    public double Explained { get; }

    /// <param name="rows">The bins of each experiment, one a dimension.</param>
    /// <param name="targets">With mean 0.</param>
    // Not for secrets: it has to be the same each time.
#pragma warning disable CA5394
    public static RegressionForest Grow(int[][] rows, double[] targets, int[] bins, CancellationToken cancellationToken)
    {
        var random = new Random(Seed);
        var boxes = new List<Box>();
        var (sums, counts) = (new double[rows.Length], new int[rows.Length]);
        int[][] probes = [.. Enumerable.Range(0, Probes).Select(_ => bins.Select(count => random.Next(count)).ToArray())];
        var predicted = new double[Probes];
        for (var number = 0; number < Trees; number++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int[] sample = [.. Enumerable.Range(0, rows.Length).Select(_ => random.Next(rows.Length))];
            var tree = new RegressionTree(rows, targets, bins, random);
            boxes.AddRange(tree.Grow(sample).Select(leaf => leaf with { Value = leaf.Value / Trees }));
            foreach (var row in Enumerable.Range(0, rows.Length).Except(sample))
            {
                sums[row] += tree.Predict(rows[row]);
                counts[row]++;
            }

            for (var probe = 0; probe < Probes; probe++)
                predicted[probe] += tree.Predict(probes[probe]) / Trees;
        }

        var mean = predicted.Average();
        var judged = Enumerable.Range(0, rows.Length).Where(row => counts[row] > 0).ToArray();
        var missed = judged.Sum(row => Math.Pow(targets[row] - (sums[row] / counts[row]), 2));
        return new(boxes, predicted.Average(value => (value - mean) * (value - mean)), 1 - (missed / judged.Sum(row => targets[row] * targets[row])));
    }
#pragma warning restore CA5394
}
