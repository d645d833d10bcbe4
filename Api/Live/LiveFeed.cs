using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Live;

/// <summary>
/// Tells all event streams what changes. One connection hears of changes; one reader reads what is committed since it read last and hands
/// it to the streams. Rows are the truth: without notifications it finds the same, only later.
/// </summary>
internal sealed partial class LiveFeed(
    IConfiguration configuration,
    IDbContextFactory<ExperimentsDbContext> databases,
    IOptions<LiveOptions> options,
    TimeProvider clock,
    ILogger<LiveFeed> logger) : BackgroundService
{
    /// <summary>The most experiments that one query reads.</summary>
    public const int PageSize = 200;

    /// <summary>Streams that may read their first events at a time: a crowd that comes back leaves connections to others.</summary>
    private const int Readers = 2;

    /// <summary>The feed rests so many times as long as it worked: many milestones on fast trajectories are merged rather than read each second.</summary>
    private const int Rest = 4;

    private static readonly TimeSpan Collect = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ReconnectAfter = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<LiveListener, LiveScope> _listeners = new();
    private readonly SemaphoreSlim _heard = new(0, 1);
    private readonly SemaphoreSlim _reading = new(1);
    private readonly SemaphoreSlim _readers = new(Readers);

    // Of the last reading: when it has to go on from, and what it saw of the time after; null while nobody listens.
    private DateTimeOffset? _position;
    private HashSet<LiveChange> _seen = [];

    /// <returns>From now on offered what changes; null when there are too many already.</returns>
    public async Task<LiveListener?> SubscribeAsync(LiveScope scope, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (_listeners.Count >= options.Value.MaxListeners)
                return null;
            if (_position is null)
            {
                await using var db = await databases.CreateDbContextAsync(cancellationToken);
                var position = await LiveRows.PositionAsync(db, LiveRows.Margin, cancellationToken);
                _seen = await LiveRows.Changes(db, position).ToHashSetAsync(cancellationToken);
                _position = position;
            }

            var listener = new LiveListener(scope, _position.Value, gone => _listeners.TryRemove(gone, out _));
            _listeners[listener] = scope;
            return listener;
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <summary>The present state of experiments, for a stream that begins.</summary>
    public async Task<IReadOnlyList<LiveEvent>> ReadAsync(Guid[] ids, CancellationToken cancellationToken)
    {
        await _readers.WaitAsync(cancellationToken);
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            return await ReadAsync(db, ids, cancellationToken);
        }
        finally
        {
            _readers.Release();
        }
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(HearAsync(stoppingToken), FollowAsync(stoppingToken));

    private async Task HearAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await Database.ListenAsync(configuration, LiveChannel.Changed, Hear, stoppingToken);
                // What was said while nobody heard.
                Wake();
                while (true)
                    await connection.WaitAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogDeaf(exception.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(ReconnectAfter, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Hear(string payload)
    {
        if (Guid.TryParse(payload, out var model) && _listeners.Values.Any(scope => scope.ModelId is null || scope.ModelId == model))
            Wake();
    }

    // By the one who hears only.
    private void Wake()
    {
        if (_heard.CurrentCount == 0)
            _heard.Release();
    }

    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        var (ended, rest) = (clock.GetTimestamp(), TimeSpan.Zero);
        try
        {
            while (true)
            {
                if (await _heard.WaitAsync(LookEvery, stoppingToken))
                {
                    var left = rest - clock.GetElapsedTime(ended);
                    await Task.Delay(left > Collect ? left : Collect, clock, stoppingToken);
                }

                var began = clock.GetTimestamp();
                try
                {
                    await AdvanceAsync(stoppingToken);
                }
                catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
                {
                    // The streams stay; what they miss now is read later.
                    LogBlind(DatabaseErrors.Reason(exception));
                }
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
                {
                    LogUnexpected(exception);
                }

                ended = clock.GetTimestamp();
                rest = Rest * clock.GetElapsedTime(began, ended);
            }
        }
        catch (OperationCanceledException)
        {
            // The service stops.
        }
    }

    /// <summary>Reads what has changed since the last time, and offers it to the streams.</summary>
    private async Task AdvanceAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (_listeners.IsEmpty)
            {
                (_position, _seen) = (null, []);
                return;
            }

            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            // Asked for before the rows are: what commits in between is read again the next time.
            var position = await LiveRows.PositionAsync(db, LiveRows.Margin, cancellationToken);
            var changes = await LiveRows.Changes(db, _position!.Value).ToHashSetAsync(cancellationToken);
            await TellAsync(db, [.. changes.Except(_seen)], cancellationToken);
            _seen = changes;
            _position = position > _position ? position : _position;
            foreach (var listener in _listeners.Keys)
                listener.Reach(_position.Value);
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task TellAsync(ExperimentsDbContext db, IReadOnlyList<LiveChange> changes, CancellationToken cancellationToken)
    {
        var scopes = _listeners.Values.Distinct().ToList();
        var wanted = changes.Where(change => scopes.Exists(scope => scope.Includes(change.Id, change.ModelId))).ToLookup(change => change.IsDeletion);
        var experiments = wanted[false].Select(change => change.Id).Distinct().ToList();
        if (experiments.Count > LiveListener.MaxPending)
        {
            foreach (var listener in _listeners.Keys)
                listener.Miss();
            experiments = [];
        }

        foreach (var page in experiments.Chunk(PageSize))
            Offer(await ReadAsync(db, page, cancellationToken));
        Offer([.. wanted[true].Select(LiveEvent.Of)]);
    }

    private void Offer(IReadOnlyList<LiveEvent> events)
    {
        foreach (var listener in _listeners.Keys)
            listener.Offer(events);
    }

    private static async Task<IReadOnlyList<LiveEvent>> ReadAsync(ExperimentsDbContext db, Guid[] ids, CancellationToken cancellationToken) =>
        [.. (await LiveRows.ReadAsync(db, ids, cancellationToken)).Select(LiveEvent.Of)];

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not hearing of changes at the moment, looking for them instead: {Reason}")]
    private partial void LogDeaf(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Changes could not be read for those who watch, tried again: {Reason}")]
    private partial void LogBlind(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Changes could not be read for those who watch, tried again")]
    private partial void LogUnexpected(Exception exception);
}
