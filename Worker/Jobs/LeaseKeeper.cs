using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// Renews an attempt's lease while it runs, and ends the attempt when the lease is lost or could not be renewed in time. Time is
/// measured by the monotonic clock: setting the wall clock changes nothing.
/// </summary>
internal sealed partial class LeaseKeeper(TrajectoryWriter writer, Claim claim, AttemptReport report, WorkerOptions options, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _lost = new();
    private readonly CancellationTokenSource _ended = new();
    private Task _keeping = Task.CompletedTask;

    /// <summary>Cancelled once nothing that the attempt does counts any more.</summary>
    public CancellationToken Lost => _lost.Token;

    public void Start() => _keeping = Task.Run(KeepAsync);

    /// <summary>Ends the renewals: the attempt is over, and its last writes follow while the lease still stands.</summary>
    public async Task StopAsync()
    {
        await _ended.CancelAsync();
        await _keeping;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _ended.Dispose();
        _lost.Dispose();
    }

    private async Task KeepAsync()
    {
        // The claim began the lease, no earlier than it was asked for.
        var renewed = claim.AskedAt;
        using var timer = new PeriodicTimer(options.RenewEvery < ReportEvery ? options.RenewEvery : ReportEvery);
        while (await NextAsync(timer))
        {
            // News is stored at once for those who watch; without any, only the lease needs renewal.
            if (!report.HasNews && Stopwatch.GetElapsedTime(renewed) < options.RenewEvery)
                continue;
            var (progress, metrics) = report.Take();
            // A renewal counts from when it was asked for: the database set the lease no earlier than that.
            var asked = Stopwatch.GetTimestamp();
            try
            {
                using var inTime = new CancellationTokenSource(Remaining(renewed));
                using var either = CancellationTokenSource.CreateLinkedTokenSource(inTime.Token, _ended.Token);
                // Left to itself when time is up: on a connection that has fallen silent, even giving up takes a minute.
                await writer.RenewAsync(claim, progress, metrics, either.Token).WaitAsync(either.Token);
                renewed = asked;
            }
            catch (LeaseLostException lost)
            {
                LogLost(logger, lost.Message);
                await _lost.CancelAsync();
                return;
            }
            catch (Exception exception) when (!_ended.IsCancellationRequested)
            {
                report.PutBack(progress, metrics);
                LogFailed(logger, claim.TrajectoryId, exception.Message);
                if (Remaining(renewed) > TimeSpan.Zero)
                    continue;
                LogGivenUp(logger, claim.TrajectoryId, Stopwatch.GetElapsedTime(renewed).TotalSeconds);
                await _lost.CancelAsync();
                return;
            }
            catch (Exception)
            {
                // The attempt is over: what was taken is stored by its last write.
                report.PutBack(progress, metrics);
                return;
            }
        }
    }

    private TimeSpan Remaining(long renewed)
    {
        var remaining = options.Lease - options.LeaseMargin - Stopwatch.GetElapsedTime(renewed);
        return remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero;
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
