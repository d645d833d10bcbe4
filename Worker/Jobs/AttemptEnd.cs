using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// How an attempt leaves its trajectory; called by the attempt itself and by the sweeper, inside a transaction that holds the
/// trajectory's row.
/// </summary>
internal static class AttemptEnd
{
    /// <summary>Gives the trajectory back. Experiments that were not measured wait again, and a ticket wakes a worker for them.</summary>
    public static async Task ReleaseAsync(
        ExperimentsDbContext db,
        TicketQueue queue,
        Guid trajectoryId,
        long fence,
        AttemptOutcome outcome,
        int? step,
        string? error,
        CancellationToken cancellationToken)
    {
        var full = await StudyPlaces.FullAsync(db, [trajectoryId], cancellationToken);
        await CloseAsync(db, trajectoryId, fence, outcome, step, error, cancellationToken);
        await db.Experiments
            .Where(experiment => experiment.TrajectoryId == trajectoryId && experiment.Status == ExperimentStatus.Running)
            .ExecuteUpdateAsync(set => set.SetProperty(experiment => experiment.Status, ExperimentStatus.Queued), cancellationToken);
        await GiveBackAsync(db, queue, trajectoryId, full, cancellationToken);
    }

    /// <summary>The same for an attempt that was lost; after too many in a row its experiments fail with the last one's reason.</summary>
    public static async Task LoseAsync(
        ExperimentsDbContext db,
        TicketQueue queue,
        int maxLostAttempts,
        Guid trajectoryId,
        long fence,
        AttemptOutcome outcome,
        int? step,
        string error,
        CancellationToken cancellationToken)
    {
        var lost = 1 + await db.Trajectories.Where(trajectory => trajectory.Id == trajectoryId)
            .Select(trajectory => trajectory.LostAttempts).SingleAsync(cancellationToken);
        await db.Trajectories.Where(trajectory => trajectory.Id == trajectoryId).ExecuteUpdateAsync(
            set => set.SetProperty(trajectory => trajectory.LostAttempts, lost), cancellationToken);
        if (lost < maxLostAttempts)
        {
            await ReleaseAsync(db, queue, trajectoryId, fence, outcome, step, error, cancellationToken);
            return;
        }

        var full = await StudyPlaces.FullAsync(db, [trajectoryId], cancellationToken);
        await CloseAsync(db, trajectoryId, fence, outcome, step, error, cancellationToken);
        var reason = ErrorText.Clean($"Given up after {lost} lost attempts in a row. The last one: {error}");
        await db.Experiments
            .Where(experiment => experiment.TrajectoryId == trajectoryId && experiment.Status == ExperimentStatus.Running)
            .ExecuteUpdateAsync(
                set => set
                    .SetProperty(experiment => experiment.Status, ExperimentStatus.Failed)
                    .SetProperty(experiment => experiment.Error, reason)
                    .SetProperty(experiment => experiment.FinishedAt, experiment => ExperimentsDbContext.Now()),
                cancellationToken);
        await db.Trajectories.Where(trajectory => trajectory.Id == trajectoryId).ExecuteUpdateAsync(
            set => set.SetProperty(trajectory => trajectory.LostAttempts, 0), cancellationToken);
        await GiveBackAsync(db, queue, trajectoryId, full, cancellationToken);
    }

    /// <summary>Ends the lease, with a new fence so that nobody writes with the old one any more.</summary>
    public static async Task GiveBackAsync(
        ExperimentsDbContext db, TicketQueue queue, Guid trajectoryId, List<Guid> full, CancellationToken cancellationToken)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE trajectories
            SET status = 'idle', waiting_since = NULL, fence = fence + 1, lease_until = NULL, worker_id = NULL, steps_per_second = 0
            WHERE id = {trajectoryId}
            """,
            cancellationToken);
        await TrajectorySchedule.RefreshAsync(db, queue, [trajectoryId], cancellationToken);
        // Those that no step boundary saw any more hold from the last checkpoint on.
        await Adjustments.ApplyAllAsync(db, queue, trajectoryId, int.MaxValue, cancellationToken);
        await StudyPlaces.TicketAsync(db, queue, full, cancellationToken);
    }

    private static Task<int> CloseAsync(
        ExperimentsDbContext db,
        Guid trajectoryId,
        long fence,
        AttemptOutcome outcome,
        int? step,
        string? error,
        CancellationToken cancellationToken)
    {
        var reason = error is null ? null : ErrorText.Clean(error);
        return db.Attempts
            .Where(attempt => attempt.TrajectoryId == trajectoryId && attempt.Fence == fence && attempt.Outcome == null)
            .ExecuteUpdateAsync(
                set => set
                    .SetProperty(attempt => attempt.Outcome, outcome)
                    .SetProperty(attempt => attempt.ToStep, attempt => step >= attempt.FromStep ? step : attempt.FromStep)
                    .SetProperty(attempt => attempt.FinishedAt, attempt => ExperimentsDbContext.Now())
                    .SetProperty(attempt => attempt.Error, reason),
                cancellationToken);
    }
}
