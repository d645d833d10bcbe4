using MlExperiments.Shared.Contracts;

namespace MlExperiments.Worker.Jobs;

/// <summary>What a running attempt has said since its last renewal; filled by the event loop, taken by the lease keeper.</summary>
internal sealed class AttemptReport
{
    private readonly Lock _gate = new();
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

    public (ProgressEvent? Progress, IReadOnlyList<MetricsEvent> Metrics) Take()
    {
        lock (_gate)
        {
            var taken = (_progress, (IReadOnlyList<MetricsEvent>)[.. _metrics]);
            _progress = null;
            _metrics.Clear();
            return taken;
        }
    }

    /// <summary>Puts back what could not be stored; what was said later stays later.</summary>
    public void PutBack(ProgressEvent? progress, IReadOnlyList<MetricsEvent> metrics)
    {
        lock (_gate)
        {
            _progress ??= progress;
            _metrics.InsertRange(0, metrics);
        }
    }
}
