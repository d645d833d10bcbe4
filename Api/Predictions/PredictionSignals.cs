using System.Collections.Concurrent;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

/// <summary>
/// Wakes requests that wait for a prediction. One connection listens for all of them; while it is away, nobody is woken, and
/// the requests look at their rows by themselves.
/// </summary>
internal sealed partial class PredictionSignals(IConfiguration configuration, TimeProvider clock, ILogger<PredictionSignals> logger) : BackgroundService
{
    private static readonly TimeSpan ReconnectAfter = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Guid, Waiter> _waiting = new();

    /// <summary>Registers interest: before the rows exist, so that no answer comes too early to be heard.</summary>
    public Waiter Expect(IReadOnlyList<Guid> ids) => new(this, ids);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogAway(exception.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(ReconnectAfter, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        await using var connection = await Database.ListenAsync(configuration, PredictionChannels.Answered, Wake, cancellationToken);
        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    private void Wake(string payload)
    {
        if (Guid.TryParse(payload, out var id) && _waiting.TryRemove(id, out var waiting))
            waiting.Hear();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not listening for answered predictions at the moment: {Reason}")]
    private partial void LogAway(string reason);

    public sealed class Waiter : IDisposable
    {
        private readonly PredictionSignals _signals;
        private readonly IReadOnlyList<Guid> _ids;
        private readonly SemaphoreSlim _answered = new(0);
        private int _left;

        internal Waiter(PredictionSignals signals, IReadOnlyList<Guid> ids)
        {
            _signals = signals;
            _ids = ids;
            _left = ids.Count;
            foreach (var id in ids)
                signals._waiting[id] = this;
        }

        /// <summary>Returns when all answers are announced, or after <paramref name="longest"/>: either way the rows are the truth.</summary>
        public Task WaitAsync(TimeSpan longest, CancellationToken cancellationToken) => _answered.WaitAsync(longest, cancellationToken);

        internal void Hear()
        {
            if (Interlocked.Decrement(ref _left) == 0)
                _answered.Release();
        }

        // The semaphore is left to the collector: the listener may be about to release it.
        public void Dispose()
        {
            foreach (var id in _ids)
                _signals._waiting.TryRemove(id, out _);
        }
    }
}
