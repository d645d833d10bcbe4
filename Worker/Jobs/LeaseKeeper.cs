using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// Renews an attempt's lease while it runs. Once it is lost, or was not renewed in time, a watchdog ends the trainer and then the
/// attempt, whatever the database does meanwhile. Time is measured by the monotonic clock: setting the wall clock changes nothing.
/// </summary>
internal sealed partial class LeaseKeeper : IAsyncDisposable
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    private readonly TrajectoryWriter _writer;
    private readonly Claim _claim;
    private readonly AttemptReport _report;
    private readonly ControlSignal _control;
    private readonly Action _endTraining;
    private readonly WorkerOptions _options;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _lost = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly Timer _watchdog;
    private Task _keeping = Task.CompletedTask;
    private long _renewed;

    /// <param name="endTraining">Kills the trainer: what it still did would be wasted, or done twice.</param>
    public LeaseKeeper(
        TrajectoryWriter writer, Claim claim, AttemptReport report, ControlSignal control, Action endTraining, WorkerOptions options, ILogger logger)
    {
        (_writer, _claim, _report, _control, _endTraining, _options, _logger) = (writer, claim, report, control, endTraining, options, logger);
        _watchdog = new Timer(_ => GiveUp());
    }

    /// <summary>Cancelled once nothing that the attempt does counts any more.</summary>
    public CancellationToken Lost => _lost.Token;

    public void Start()
    {
        // The claim began the lease, no earlier than it was asked for.
        Guard(_claim.AskedAt);
        _keeping = Task.Run(KeepAsync);
    }

    /// <summary>
    /// Ends the renewals: the trainer is done, and the attempt's last writes follow. Those are fenced and may come late, so that nobody
    /// watches the time any more.
    /// </summary>
    public async Task StopAsync(CancellationToken stop)
    {
        await _ended.CancelAsync();
        await _keeping.WaitAsync(stop);
        _watchdog.Change(Timeout.Infinite, Timeout.Infinite);
    }

    public async ValueTask DisposeAsync()
    {
        await _watchdog.DisposeAsync();
        await _ended.CancelAsync();
        await _lost.CancelAsync();
        await _keeping;
        _ended.Dispose();
        _lost.Dispose();
    }

    private async Task KeepAsync()
    {
        long? known = null;
        using var timer = new PeriodicTimer(_options.RenewEvery < ReportEvery ? _options.RenewEvery : ReportEvery);
        while (await NextAsync(timer))
        {
            // News is stored at once for those who watch; without any, only the lease needs renewal.
            if (!_report.HasNews && Stopwatch.GetElapsedTime(_renewed) < _options.RenewEvery)
                continue;
            // A renewal counts from when it was asked for: the database set the lease no earlier than that.
            var asked = Stopwatch.GetTimestamp();
            try
            {
                var wanted = await Persistence.UntilAsync(
                    token => _report.StoreAsync((progress, metrics, write) => _writer.RenewAsync(_claim, progress, metrics, write), token), _lost.Token);
                Guard(asked);
                // Its notification may have been missed.
                if (wanted != known)
                    _control.Set();
                known = wanted;
            }
            catch (LeaseLostException lost)
            {
                LogLost(_logger, lost.Message);
                _endTraining();
                await _lost.CancelAsync();
                return;
            }
            catch (Exception exception)
            {
                if (_lost.IsCancellationRequested)
                    return;
                LogFailed(_logger, _claim.TrajectoryId, exception.Message);
            }
        }
    }

    private void Guard(long renewed)
    {
        _renewed = renewed;
        var remaining = _options.Lease - _options.LeaseMargin - Stopwatch.GetElapsedTime(renewed);
        _watchdog.Change(remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void GiveUp()
    {
        // First of all: nothing else may hold it up.
        _endTraining();
        LogGivenUp(_logger, _claim.TrajectoryId, Stopwatch.GetElapsedTime(_renewed).TotalSeconds);
        _ = _lost.CancelAsync();
    }

    private async Task<bool> NextAsync(PeriodicTimer timer)
    {
        try
        {
            return await timer.WaitForNextTickAsync(_ended.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Reason}")]
    private static partial void LogLost(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "The lease of trajectory {TrajectoryId} could not be renewed: {Reason}")]
    private static partial void LogFailed(ILogger logger, Guid trajectoryId, string reason);

    [LoggerMessage(LogLevel.Error, "The lease of trajectory {TrajectoryId} could not be renewed for {Seconds:0.0} s: its training is stopped")]
    private static partial void LogGivenUp(ILogger logger, Guid trajectoryId, double seconds);
}
