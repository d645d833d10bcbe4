using System.Collections.Concurrent;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Predictions;

/// <summary>
/// Wakes requests that wait for a prediction. One connection listens for all of them; while it is away, nobody is woken, and
/// the requests look at their rows by themselves.
/// </summary>
internal sealed partial class PredictionSignals(IConfiguration configuration, TimeProvider clock, ILogger<PredictionSignals> logger) : BackgroundService
{
    /// <summary>What a request notifies workers on, with the prediction's id.</summary>
    public const string Asked = "predictions";

    /// <summary>What a worker notifies on once a prediction is answered or failed, with its id.</summary>
    private const string Answered = "predictions_done";

    private static readonly TimeSpan ReconnectAfter = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Guid, SemaphoreSlim> _waiting = new();

    /// <summary>Registers interest: before the row exists, so that no answer comes too early to be heard.</summary>
    public Waiter Expect(Guid id) => new(this, id);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (NpgsqlException exception)
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
        // Its own: it would occupy a pooled one for ever. Keep-alive finds a server that went away in silence.
        var settings = new NpgsqlConnectionStringBuilder(configuration.GetConnectionString(Database.ConnectionName)) { Pooling = false, KeepAlive = 30 };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        connection.Notification += (_, notification) =>
        {
            if (Guid.TryParse(notification.Payload, out var id) && _waiting.TryGetValue(id, out var waiting))
                waiting.Release();
        };
        await connection.OpenAsync(cancellationToken);
        await using (var listen = new NpgsqlCommand($"LISTEN {Answered}", connection))
            await listen.ExecuteNonQueryAsync(cancellationToken);
        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not listening for answered predictions at the moment: {Reason}")]
    private partial void LogAway(string reason);

    public sealed class Waiter : IDisposable
    {
        private readonly PredictionSignals _signals;
        private readonly Guid _id;
        private readonly SemaphoreSlim _answered = new(0);

        internal Waiter(PredictionSignals signals, Guid id)
        {
            _signals = signals;
            _id = id;
            signals._waiting[id] = _answered;
        }

        /// <summary>Returns when an answer is announced, or after <paramref name="longest"/>: either way the row is the truth.</summary>
        public Task WaitAsync(TimeSpan longest, CancellationToken cancellationToken) => _answered.WaitAsync(longest, cancellationToken);

        // The semaphore is left to the collector: the listener may be about to release it.
        public void Dispose() => _signals._waiting.TryRemove(_id, out _);
    }
}
