using MlExperiments.Shared.Contracts;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// What a running attempt has said since it was last stored; filled by the event loop, stored by the lease keeper every second, and by the
/// event loop before a checkpoint or a result: who goes on from those finds the curves whole up to them.
/// </summary>
internal sealed class AttemptReport : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _storing = new(1);
    private readonly List<MetricsEvent> _metrics = [];
    private ProgressEvent? _progress;

    public int? Step { get; private set; }

    public bool HasNews
    {
        get
        {
            lock (_gate)
                return _progress is not null || _metrics.Count > 0;
        }
    }

    public void Add(ProgressEvent progress)
    {
        lock (_gate)
        {
            _progress = progress;
            Step = progress.Step;
        }
    }

    public void Add(MetricsEvent metrics)
    {
        lock (_gate)
            _metrics.Add(metrics);
    }

    public void Reached(int step)
    {
        lock (_gate)
            Step = step;
    }

    /// <summary>
    /// Stores what has been said, once whoever is at it has stored what was said before; what could not be stored is kept for the next time.
    /// </summary>
    public async Task<long> StoreAsync(
        Func<ProgressEvent?, IReadOnlyList<MetricsEvent>, CancellationToken, Task<long>> write, CancellationToken cancellationToken)
    {
        await _storing.WaitAsync(cancellationToken);
        try
        {
            var (progress, metrics) = Take();
            try
            {
                return await write(progress, metrics, cancellationToken);
            }
            catch (Exception)
            {
                PutBack(progress, metrics);
                throw;
            }
        }
        finally
        {
            _storing.Release();
        }
    }

    public void Dispose() => _storing.Dispose();

    private (ProgressEvent? Progress, IReadOnlyList<MetricsEvent> Metrics) Take()
    {
        lock (_gate)
        {
            var taken = (_progress, (IReadOnlyList<MetricsEvent>)[.. _metrics]);
            _progress = null;
            _metrics.Clear();
            return taken;
        }
    }

    // What was said later stays later.
    private void PutBack(ProgressEvent? progress, IReadOnlyList<MetricsEvent> metrics)
    {
        lock (_gate)
        {
            _progress ??= progress;
            _metrics.InsertRange(0, metrics);
        }
    }
}
