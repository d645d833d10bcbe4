using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>
/// What the training batches since the last point of the curves came to. It is summed where training happens, so that no step
/// waits for a value, and in the same order whether or not a checkpoint lies between.
/// </summary>
internal sealed class RunningSums : IDisposable
{
    private readonly Tensor _loss;
    private readonly Tensor _right;
    private readonly Tensor _last;

    public RunningSums(double lossSum = 0, long rightSum = 0, long imageSum = 0, double lastLoss = 0)
    {
        _loss = Create(ScalarType.Float64, lossSum);
        _right = Create(ScalarType.Int64, rightSum);
        _last = Create(ScalarType.Float32, (float)lastLoss);
        Images = imageSum;
    }

    /// <summary>Images so far.</summary>
    public long Images { get; private set; }

    /// <summary>Sum of their cross entropy.</summary>
    public double Loss => Read<double>(_loss);

    /// <summary>How many were classified right.</summary>
    public long Right => Read<long>(_right);

    /// <summary>Cross entropy of the last batch.</summary>
    public double LastLoss => Read<float>(_last);

    /// <summary>Adds one batch; gradients are off.</summary>
    /// <param name="batchLoss">Mean cross entropy of the batch.</param>
    /// <param name="logits"><c>[n, classes]</c>.</param>
    /// <param name="labels"><c>[n]</c>.</param>
    /// <param name="count">n.</param>
    public void Add(Tensor batchLoss, Tensor logits, Tensor labels, int count)
    {
        using var scope = NewDisposeScope();
        _loss.add_(batchLoss, count);
        _right.add_(logits.argmax(1).eq(labels).sum());
        _last.copy_(batchLoss);
        Images += count;
    }

    public void Reset()
    {
        using var scope = NewDisposeScope();
        _loss.zero_();
        _right.zero_();
        Images = 0;
    }

    public void Dispose()
    {
        _loss.Dispose();
        _right.Dispose();
        _last.Dispose();
    }

    private static Tensor Create<T>(ScalarType type, T value) where T : unmanaged
    {
        using var scope = NewDisposeScope();
        var tensor = zeros([1], type);
        MemoryMarshal.Write(tensor.bytes, value);
        return Engine.ToDevice(tensor).DetachFromDisposeScope();
    }

    private static T Read<T>(Tensor tensor) where T : unmanaged
    {
        using var scope = NewDisposeScope();
        return MemoryMarshal.Read<T>(Engine.ToHost(tensor.detach()).bytes);
    }
}
