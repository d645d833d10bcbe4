namespace MlExperiments.Api.Live;

/// <summary>
/// What one stream has still to send: of each experiment its newest state. However slowly it is read, it holds up nobody, and it holds no
/// more than <see cref="MaxPending"/> references to events that all streams share.
/// </summary>
internal sealed class LiveListener(LiveScope scope, DateTimeOffset position, Action<LiveListener> forget) : IDisposable
{
    public const int MaxPending = 10_000;

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _ready = new(0, 1);
    private readonly Dictionary<Guid, LiveEvent> _pending = [];
    private readonly Queue<Guid> _order = [];
    private DateTimeOffset _position = position;
    private bool _hasMissed;

    public LiveScope Scope => scope;

    /// <summary>Everything that had changed before was offered, or was there when it began.</summary>
    public DateTimeOffset Position
    {
        get
        {
            lock (_gate)
                return _position;
        }
    }

    /// <summary>Takes what is in scope of the events, which are newer than all before.</summary>
    public void Offer(IEnumerable<LiveEvent> events)
    {
        lock (_gate)
        {
            foreach (var live in events.Where(live => scope.Includes(live.Id, live.ModelId)))
                Put(live);
        }
    }

    /// <summary>Takes events that may be older than those that were offered meanwhile.</summary>
    public void OfferOlder(IEnumerable<LiveEvent> events)
    {
        lock (_gate)
        {
            foreach (var live in events.Where(live => !_pending.ContainsKey(live.Id) && !_pending.ContainsKey(live.ModelId)))
                Put(live);
        }
    }

    /// <summary>Notes that everything that had changed before then was offered.</summary>
    public void Reach(DateTimeOffset reached)
    {
        lock (_gate)
            _position = reached;
    }

    /// <summary>Gives up what is pending: there is too much of it.</summary>
    public void Miss()
    {
        lock (_gate)
        {
            _pending.Clear();
            _order.Clear();
            _hasMissed = true;
            Wake();
        }
    }

    /// <summary>Takes up to <paramref name="most"/> events out, those that wait longest first.</summary>
    public LiveBatch Take(int most)
    {
        lock (_gate)
        {
            var events = new List<LiveEvent>(Math.Min(most, _order.Count));
            while (events.Count < most && _order.TryDequeue(out var id))
            {
                _pending.Remove(id, out var live);
                events.Add(live!);
            }

            var hasMissed = _hasMissed;
            _hasMissed = false;
            return new LiveBatch(hasMissed, events, _order.Count == 0 ? _position : null);
        }
    }

    /// <returns>False when nothing was offered within <paramref name="longest"/>.</returns>
    public Task<bool> WaitAsync(TimeSpan longest, CancellationToken cancellationToken) => _ready.WaitAsync(longest, cancellationToken);

    // The semaphore is left to the collector: the feed may be about to release it.
    public void Dispose() => forget(this);

    private void Put(LiveEvent live)
    {
        if (!_pending.ContainsKey(live.Id))
        {
            if (_pending.Count == MaxPending)
            {
                Miss();
                // Of the end of what it watches, it has to be told all the same.
                if (!live.IsDeletion)
                    return;
            }

            _order.Enqueue(live.Id);
        }

        _pending[live.Id] = live;
        Wake();
    }

    private void Wake()
    {
        if (_ready.CurrentCount == 0)
            _ready.Release();
    }
}

/// <param name="HasMissed">Whether events were given up before these.</param>
/// <param name="Position">With these, everything was taken that had changed before; null where more is pending.</param>
internal sealed record LiveBatch(bool HasMissed, IReadOnlyList<LiveEvent> Events, DateTimeOffset? Position);
