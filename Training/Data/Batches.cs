using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Data;

/// <summary>
/// The training batches of a trajectory, by step: each epoch takes every training image once, in an order of its own that
/// depends on the seed and the epoch. The last batch of an epoch is as small as what is left.
/// </summary>
internal sealed class Batches
{
    private readonly PackedDataSet _data;
    private readonly int _seed;
    private readonly int _batchSize;
    private readonly Augmentation? _augmentation;
    private int[] _order = [];
    private int _orderEpoch = -1;

    public Batches(PackedDataSet data, TrajectoryParameters parameters)
    {
        _data = data;
        _seed = parameters.Seed;
        _batchSize = parameters.BatchSize;
        _augmentation = Augmentation.Create(parameters, data.Shape);
        StepsPerEpoch = (data.Train.Count + _batchSize - 1) / _batchSize;
    }

    public int StepsPerEpoch { get; }

    /// <summary>The rows of one step's batch.</summary>
    /// <param name="step">From 0.</param>
    public ReadOnlySpan<int> Rows(int step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != _orderEpoch)
        {
            // Train's rows are the first ones, so places in the order are rows.
            _order = Seeds.Permutation(_data.Train.Count, _seed, Purpose.Shuffle, epoch);
            _orderEpoch = epoch;
        }

        var first = step % StepsPerEpoch * _batchSize;
        return _order.AsSpan(first, Math.Min(_batchSize, _order.Length - first));
    }

    /// <summary>One step's batch, augmented where that is asked for, in the dispose scope around the call.</summary>
    /// <param name="step">From 0.</param>
    /// <returns>uint8 <c>[n, h, w, c]</c> and the labels, int64 <c>[n]</c>.</returns>
    public (Tensor Images, Tensor Labels) Load(int step)
    {
        var rows = Rows(step);
        var images = Gather(_data, rows);
        _augmentation?.Apply(images.bytes, step);
        return (Engine.ToDevice(images), Labels(_data, rows));
    }

    /// <summary>Images as they are in the data set, in the dispose scope around the call.</summary>
    /// <returns>uint8 <c>[rows, h, w, c]</c> and the labels, int64 <c>[rows]</c>.</returns>
    public static (Tensor Images, Tensor Labels) Load(PackedDataSet data, ReadOnlySpan<int> rows) =>
        (Engine.ToDevice(Gather(data, rows)), Labels(data, rows));

    private static Tensor Gather(PackedDataSet data, ReadOnlySpan<int> rows)
    {
        var shape = data.Shape;
        var images = empty([rows.Length, shape.Height, shape.Width, shape.Channels], ScalarType.Byte);
        data.Gather(rows, images.bytes);
        return images;
    }

    private static Tensor Labels(PackedDataSet data, ReadOnlySpan<int> rows)
    {
        var labels = empty([rows.Length], ScalarType.Int64);
        var values = MemoryMarshal.Cast<byte, long>(labels.bytes);
        for (var i = 0; i < rows.Length; i++) values[i] = data.Labels[rows[i]];
        return Engine.ToDevice(labels);
    }
}
