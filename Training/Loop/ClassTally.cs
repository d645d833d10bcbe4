using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Loop;

/// <summary>
/// Counts what becomes of each class while a split is measured. Memory grows with the classes and the pairs that are confused, never with the
/// square of the classes.
/// </summary>
internal sealed class ClassTally(int classes)
{
    private readonly int[] _images = new int[classes];
    private readonly int[] _predicted = new int[classes];
    private readonly int[] _right = new int[classes];
    private readonly Dictionary<(int Label, int Predicted), int> _confusions = [];

    // The mildest of the worst comes out first; of two with the same loss the lower row stays, in whatever order they come.
    private readonly PriorityQueue<WrongImage, (double Loss, int MinusRow)> _worst = new(ClassMeasurement.MaxWorst + 1);

    /// <summary>Takes one image.</summary>
    /// <param name="loss">Its cross entropy.</param>
    /// <param name="probabilities">One per class.</param>
    public void Add(int row, int label, int predicted, double loss, ReadOnlySpan<double> probabilities)
    {
        _images[label]++;
        _predicted[predicted]++;
        if (predicted == label)
        {
            _right[label]++;
            return;
        }

        _confusions[(label, predicted)] = _confusions.GetValueOrDefault((label, predicted)) + 1;
        // What is not a number, of a diverged training, is as bad as can be.
        var place = (double.IsNaN(loss) ? double.PositiveInfinity : loss, -row);
        if (_worst.Count == ClassMeasurement.MaxWorst && _worst.TryPeek(out _, out var mildest) && place.CompareTo(mildest) < 0) return;
        _worst.Enqueue(new(row, label, predicted, probabilities[predicted], probabilities[label]), place);
        if (_worst.Count > ClassMeasurement.MaxWorst) _worst.Dequeue();
    }

    public ClassMeasurement ToMeasurement() => new(
        [.. _images],
        [.. _predicted],
        [.. _right],
        [
            .. _confusions.Select(pair => new Confusion(pair.Key.Label, pair.Key.Predicted, pair.Value))
                .OrderByDescending(pair => pair.Images).ThenBy(pair => pair.Label).ThenBy(pair => pair.Predicted)
                .Take(ClassMeasurement.MaxConfusions),
        ],
        [.. _worst.UnorderedItems.OrderByDescending(item => item.Priority).Select(item => item.Element)]);
}
