using System.Data.Common;
using System.Diagnostics;
using System.Transactions;
using MlExperiments.Shared.Blobs;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// Tries what needs the database or the blobs until it succeeds: one that is away for a moment costs no attempt. One that takes
/// everything and answers nothing holds nobody up, and one that stays away is given up.
/// </summary>
internal sealed partial class Persistence(TimeSpan giveUpAfter, ILogger logger)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(500);

    /// <param name="operation">May run several times; the writes of an attempt are fenced, so that a second time changes nothing.</param>
    /// <param name="stop">Ends the tries, also one that doesn't heed it: the lease is lost, or the worker's time to drain is over.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="Exception">What the last try threw, where another one would be of no use or it was tried for too long.</exception>
    public async Task<T> RetryAsync<T>(Func<CancellationToken, Task<T>> operation, CancellationToken stop)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return await UntilAsync(operation, stop);
            }
            catch (Exception exception) when (MayPass(exception) && Stopwatch.GetElapsedTime(began) < giveUpAfter)
            {
                LogFailed(logger, exception.Message);
            }

            await Task.Delay(RetryAfter, stop);
        }
    }

    /// <inheritdoc cref="RetryAsync{T}"/>
    public Task RetryAsync(Func<CancellationToken, Task> operation, CancellationToken stop) =>
        RetryAsync(
            async token =>
            {
                await operation(token);
                return true;
            },
            stop);

    /// <summary>
    /// Waits for a call no longer than until it is stopped. Then it is cancelled and left to itself: Npgsql blocks the thread that
    /// cancels while it asks the server for it, a minute and longer where that is silent.
    /// </summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static async Task<T> UntilAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken stop)
    {
        // Not linked to the other token, whose canceller is not to be blocked. Without a timer there is nothing to dispose of.
        var cancel = new CancellationTokenSource();
        // On another thread: a call may block before its first wait.
        var running = Task.Run(() => call(cancel.Token), stop);
        try
        {
            return await running.WaitAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            _ = cancel.CancelAsync();
            // Observed: it may fail as it likes.
            _ = running.ContinueWith(left => left.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
    }

    /// <summary>Whether the same call may succeed later: connections, full disks and time-outs pass, broken rules and missing files don't.</summary>
    public static bool MayPass(Exception exception) => exception switch
    {
        BlobNotFoundException or FileNotFoundException or DirectoryNotFoundException => false,
        // A commit whose outcome is unknown is one of these, outside of what EF retries.
        RetryLimitExceededException or TimeoutException or TransactionException or IOException => true,
        DbUpdateException { InnerException: { } inner } => MayPass(inner),
        DbException database => database.IsTransient,
        InvalidOperationException { InnerException: DbException inner } => inner.IsTransient,
        _ => false,
    };

    [LoggerMessage(LogLevel.Warning, "Not stored or read yet, tried again: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);
}
