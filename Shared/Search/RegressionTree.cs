namespace MlExperiments.Shared.Search;

/// <summary>A tree that halves the space where the squared error falls most, until all experiments in a part agree.</summary>
internal sealed class RegressionTree(int[][] rows, double[] targets, int[] bins, Random random)
{
    private readonly List<Node> _nodes = [];
    private readonly List<Box> _leaves = [];

    /// <summary>The leaves: boxes that fill the space.</summary>
    /// <param name="sample">Places in rows, some of them several times.</param>
    public IReadOnlyList<Box> Grow(int[] sample)
    {
        Grow(sample, new int[bins.Length], [.. bins]);
        return _leaves;
    }

    public double Predict(int[] row)
    {
        var node = _nodes[0];
        while (node.Dimension >= 0)
            node = _nodes[row[node.Dimension] < node.Cut ? node.Below : node.Above];
        return node.Value;
    }

    private int Grow(ReadOnlySpan<int> sample, int[] from, int[] to)
    {
        var place = _nodes.Count;
        var value = 0.0;
        var isPure = true;
        foreach (var row in sample)
        {
            value += targets[row] / sample.Length;
            isPure &= targets[row] == targets[sample[0]];
        }

        _nodes.Add(new Node(-1, 0, 0, 0, value));
        if (isPure || FindSplit(sample) is not { } split)
        {
            _leaves.Add(new Box(from, to, value));
            return place;
        }

        var (below, above) = (new List<int>(), new List<int>());
        foreach (var row in sample)
            (rows[row][split.Dimension] < split.Cut ? below : above).Add(row);
        int[] lowerTo = [.. to], upperFrom = [.. from];
        lowerTo[split.Dimension] = upperFrom[split.Dimension] = split.Cut;
        var first = Grow([.. below], from, lowerTo);
        var second = Grow([.. above], upperFrom, to);
        _nodes[place] = new Node(split.Dimension, split.Cut, first, second, value);
        return place;
    }

    private (int Dimension, int Cut)? FindSplit(ReadOnlySpan<int> sample)
    {
        var dimensions = Enumerable.Range(0, bins.Length).ToArray();
        random.Shuffle(dimensions);
        var wanted = ((2 * bins.Length) + 2) / 3;
        (int, int)? best = null;
        var most = double.NegativeInfinity;
        Span<int> counts = stackalloc int[ParameterImportance.MaxBins];
        Span<double> sums = stackalloc double[ParameterImportance.MaxBins];
        var all = 0.0;
        foreach (var row in sample)
            all += targets[row];
        foreach (var (tried, dimension) in dimensions.Index())
        {
            // Beyond the wanted ones only while none of them can be split.
            if (tried >= wanted && best is not null)
                break;
            counts.Clear();
            sums.Clear();
            foreach (var row in sample)
            {
                var bin = rows[row][dimension];
                counts[bin]++;
                sums[bin] += targets[row];
            }

            var (count, sum) = (0, 0.0);
            for (var cut = 1; cut < bins[dimension]; cut++)
            {
                count += counts[cut - 1];
                sum += sums[cut - 1];
                if (counts[cut - 1] == 0 || count == sample.Length)
                    continue;
                var gain = (sum * sum / count) + ((all - sum) * (all - sum) / (sample.Length - count));
                if (gain > most)
                    (best, most) = ((dimension, cut), gain);
            }
        }

        return best;
    }

    /// <param name="Dimension">-1 is a leaf.</param>
    /// <param name="Cut">Bins below it go to <paramref name="Below"/>.</param>
    private sealed record Node(int Dimension, int Cut, int Below, int Above, double Value);
}
