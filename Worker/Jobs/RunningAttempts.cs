using System.Collections.Concurrent;
using System.Threading.Channels;

namespace MlExperiments.Worker.Jobs;

/// <summary>This worker's attempts, to be told that something else is wanted of their trajectories.</summary>
public sealed class RunningAttempts
{
    private readonly ConcurrentDictionary<Guid, ControlSignal> _signals = new();

    /// <summary>From now until it is disposed, <see cref="Tell"/> reaches this attempt.</summary>
    public ControlSignal Begin(Guid trajectoryId)
    {
        var signal = new ControlSignal(() => _signals.TryRemove(trajectoryId, out _));
        _signals[trajectoryId] = signal;
        return signal;
    }

    public void Tell(Guid trajectoryId)
    {
        if (_signals.TryGetValue(trajectoryId, out var signal))
            signal.Set();
    }

    /// <summary>For when notifications may have been missed.</summary>
    public void TellAll()
    {
        foreach (var signal in _signals.Values)
            signal.Set();
    }
}

/// <summary>Something else may be wanted of a trajectory; several signals before one is taken are one.</summary>
public sealed class ControlSignal(Action end) : IDisposable
{
    private readonly Channel<bool> _channel = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Set() => _channel.Writer.TryWrite(true);

    public async Task WaitAsync(CancellationToken cancellationToken) => await _channel.Reader.ReadAsync(cancellationToken);

    public void Dispose() => end();
}
