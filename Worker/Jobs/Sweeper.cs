using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// Makes the rows right again after losses: frees trajectories whose lease ran out, wakes those that wait unseen, and issues the
/// tickets that are missing; and stops studies at their limits. Every worker has one; one at a time sweeps.
/// </summary>
public sealed partial class Sweeper(
    IDbContextFactory<ExperimentsDbContext> databases,
    TicketQueue queue,
    IOptions<WorkerOptions> options,
    TimeProvider time,
    ILogger<Sweeper> logger) : BackgroundService
{
    /// <summary>Trajectories that one sweep frees or wakes; the next one goes on.</summary>
    private const int Batch = 100;

    /// <summary>The advisory lock that all sweepers agree on.</summary>
    private const long SweepLock = 0x4d4c4578_53776570;

    private sealed record DueStudy(Guid Id, string Reason);

    private sealed record ExpiredRow(Guid Id, long Fence, int Step);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepEvery, time);
        do
        {
            try
            {
                await SweepAsync(stoppingToken);
                await StopStudiesAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The database may be away; the next sweep looks again.
                LogFailed(logger, exception);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var waitingTickets = await queue.CountWaitingAsync(cancellationToken);
        await db.TransactAsync(
            async token =>
            {
                var mine = await db.Database.SqlQuery<bool>($"""SELECT pg_try_advisory_xact_lock({SweepLock}) AS "Value" """).SingleAsync(token);
                if (!mine)
                    return;

                var expired = await db.Database.SqlQuery<ExpiredRow>(
                    $"""
                    SELECT id AS "Id", fence AS "Fence", step AS "Step" FROM trajectories
                    WHERE status = 'running' AND lease_until < now()
                    ORDER BY lease_until LIMIT {Batch} FOR UPDATE SKIP LOCKED
                    """).ToListAsync(token);
                foreach (var trajectory in expired)
                {
                    LogLost(logger, trajectory.Id, trajectory.Fence);
                    await AttemptEnd.LoseAsync(
                        db, queue, options.Value.MaxLostAttempts, trajectory.Id, trajectory.Fence, AttemptOutcome.Lost, trajectory.Step,
                        "The worker's lease ran out: it died, was cut off from the database, or its machine stood still.", token);
                }

                var unseen = await db.Database.SqlQuery<Guid>(
                    $"""
                    SELECT id AS "Value" FROM trajectories
                    WHERE status = 'idle'
                      AND EXISTS (SELECT FROM experiments WHERE experiments.trajectory_id = trajectories.id AND experiments.status = 'queued')
                    LIMIT {Batch} FOR UPDATE SKIP LOCKED
                    """).ToArrayAsync(token);
                await TrajectorySchedule.RefreshAsync(db, queue, unseen, token);

                // Those that a study's limit holds back get theirs when one of the study ends.
                var enough = waitingTickets + expired.Count + unseen.Length + TicketQueue.MaxTicketsPerTransaction;
                var waiting = await db.Database.SqlQuery<int>(
                    $"""
                    SELECT count(*)::int AS "Value" FROM (
                        SELECT FROM trajectories
                        WHERE status = 'waiting' AND (start_at IS NULL OR start_at <= now())
                          AND EXISTS (SELECT FROM experiments
                                      WHERE experiments.trajectory_id = trajectories.id AND experiments.status = 'queued'
                                        AND (experiments.start_at IS NULL OR experiments.start_at <= now())
                                        AND experiments.study_id NOT IN (SELECT id FROM full_studies))
                        LIMIT {enough}) AS claimable
                    """).SingleAsync(token);
                var missing = Math.Min(waiting - waitingTickets - expired.Count - unseen.Length, TicketQueue.MaxTicketsPerTransaction);
                if (missing > 0)
                {
                    LogMissing(logger, missing);
                    queue.Enqueue(db, missing, token);
                }
            },
            cancellationToken);
    }

    /// <summary>Stops the studies that have used up their limits. Two sweepers at once change nothing twice.</summary>
    public async Task StopStudiesAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var due = await db.Database.SqlQuery<DueStudy>(
            $"""
            SELECT id AS "Id", CASE WHEN failed >= failures_limit
                                    THEN 'its limit of ' || failures_limit || ' failed experiments is reached'
                                    ELSE 'its limit of ' || seconds_limit || ' s is reached' END AS "Reason"
            FROM studies
            CROSS JOIN LATERAL (SELECT min(started_at) AS began, count(*) FILTER (WHERE status = 'failed') AS failed
                                FROM experiments WHERE study_id = studies.id) AS used
            WHERE stopped_at IS NULL AND (seconds_limit IS NOT NULL OR failures_limit IS NOT NULL)
              AND EXISTS (SELECT FROM experiments WHERE study_id = studies.id AND status IN ('queued', 'running'))
              AND (failed >= failures_limit OR began + seconds_limit * interval '1 second' <= now())
            """).ToListAsync(cancellationToken);
        foreach (var (id, reason) in due)
        {
            var open = db.Experiments.Where(experiment =>
                experiment.StudyId == id && (experiment.Status == ExperimentStatus.Queued || experiment.Status == ExperimentStatus.Running));
            var stopped = await new ExperimentControl(db, queue).ApplyAsync(ControlAction.Cancel, open, cancellationToken, $"The study was stopped: {reason}.");
            // Last: a sweep that is cut off, or that one escaped, is made up for by the next.
            await db.Database.ExecuteSqlAsync(
                $"""
                UPDATE studies SET stopped_at = now(), stop_reason = {reason}
                WHERE id = {id} AND stopped_at IS NULL
                  AND NOT EXISTS (SELECT FROM experiments WHERE study_id = studies.id AND status IN ('queued', 'running'))
                """,
                cancellationToken);
            LogStopped(logger, id, reason, stopped);
        }
    }

    [LoggerMessage(LogLevel.Information, "Study {StudyId} is stopped: {Reason}; {Experiments} experiments are cancelled")]
    private static partial void LogStopped(ILogger logger, Guid studyId, string reason, int experiments);

    [LoggerMessage(LogLevel.Warning, "Trajectory {TrajectoryId} lost its worker (fence {Fence})")]
    private static partial void LogLost(ILogger logger, Guid trajectoryId, long fence);

    [LoggerMessage(LogLevel.Information, "Issued {Missing} missing tickets")]
    private static partial void LogMissing(ILogger logger, int missing);

    [LoggerMessage(LogLevel.Error, "A sweep failed; the next one looks again")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
