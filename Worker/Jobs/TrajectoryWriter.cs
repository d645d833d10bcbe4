using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>
/// All writes of an attempt. Each names the claim's fence, renews its lease, and touches nothing where the trajectory has gone
/// to another worker: then it throws <see cref="LeaseLostException"/>.
/// </summary>
public sealed class TrajectoryWriter(
    IDbContextFactory<ExperimentsDbContext> databases,
    TicketQueue queue,
    WorkerIdentity worker,
    IOptions<WorkerOptions> options)
{
    /// <summary>Renews the lease and stores what has been reported since the last time.</summary>
    /// <returns>The trajectory's <see cref="Trajectory.Control"/>.</returns>
    public Task<long> RenewAsync(Claim claim, ProgressEvent? progress, IReadOnlyList<MetricsEvent> metrics, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            async (db, token) =>
            {
                // A point of the curves may be newer than the progress; nobody should see it lie ahead.
                var step = Math.Max(progress?.Step ?? 0, metrics.Count == 0 ? 0 : metrics[^1].Step);
                if (progress is not null)
                    await db.Trajectories.Where(trajectory => trajectory.Id == claim.TrajectoryId).ExecuteUpdateAsync(
                        set => set
                            .SetProperty(trajectory => trajectory.Step, step)
                            .SetProperty(trajectory => trajectory.Epoch, progress.Epoch)
                            .SetProperty(trajectory => trajectory.Loss, progress.Loss)
                            .SetProperty(trajectory => trajectory.StepsPerSecond, progress.StepsPerSecond),
                        token);
                await AddMetricsAsync(db, claim, options.Value.EvaluateEvery, metrics, token);
                return await db.Trajectories.Where(trajectory => trajectory.Id == claim.TrajectoryId).Select(trajectory => trajectory.Control).SingleAsync(token);
            },
            cancellationToken);

    /// <summary>What is wanted of the trajectory now. Experiments that became queued since, and that it has not passed, are trained along.</summary>
    public Task<WantedSteps> ReadWantedAsync(Claim claim, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            async (db, token) =>
            {
                await db.Database.ExecuteSqlAsync(
                    $"""
                    UPDATE experiments SET status = 'running', worker = {worker.Name}, started_at = COALESCE(experiments.started_at, now())
                    FROM trajectories
                    WHERE trajectories.id = experiments.trajectory_id AND experiments.trajectory_id = {claim.TrajectoryId} AND experiments.status = 'queued'
                      AND (experiments.start_at IS NULL OR experiments.start_at <= now()) AND experiments.total_steps > trajectories.step
                    """,
                    token);
                var siblings = db.Experiments.Where(experiment => experiment.TrajectoryId == claim.TrajectoryId);
                return new WantedSteps(
                    await db.Trajectories.Where(trajectory => trajectory.Id == claim.TrajectoryId).Select(trajectory => trajectory.Control).SingleAsync(token),
                    await siblings.Where(experiment => experiment.Status == ExperimentStatus.Running)
                        .OrderBy(experiment => experiment.TotalSteps).Select(experiment => experiment.TotalSteps).ToListAsync(token),
                    await siblings.AnyAsync(experiment => experiment.Adjustment != null, token));
            },
            cancellationToken);

    /// <summary>Notes the step that the attempt goes on from, and that its experiments are being trained from now on.</summary>
    public Task StartedAsync(Claim claim, int step, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            async (db, token) =>
            {
                await db.Attempts.Where(attempt => attempt.TrajectoryId == claim.TrajectoryId && attempt.Fence == claim.Fence)
                    .ExecuteUpdateAsync(set => set.SetProperty(attempt => attempt.FromStep, step), token);
                await db.Trajectories.Where(trajectory => trajectory.Id == claim.TrajectoryId)
                    .ExecuteUpdateAsync(set => set.SetProperty(trajectory => trajectory.Step, step), token);
                await db.Experiments
                    .Where(experiment => experiment.TrajectoryId == claim.TrajectoryId && experiment.Status == ExperimentStatus.Running && experiment.StartedAt == null)
                    .ExecuteUpdateAsync(set => set.SetProperty(experiment => experiment.StartedAt, experiment => ExperimentsDbContext.Now()), token);
            },
            cancellationToken);

    /// <summary>Completes the experiment at this milestone, if it still waits for it, and lets it compete for the best.</summary>
    /// <param name="fromStep">The step that the attempt went on from.</param>
    /// <param name="measured">The milestones that the attempt has measured before.</param>
    public Task CompleteMilestoneAsync(
        Claim claim, int fromStep, IReadOnlyCollection<int> measured, MilestoneEvent milestone, string weightsBlob, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            async (db, token) =>
            {
                var siblings = db.Experiments.Where(experiment => experiment.TrajectoryId == claim.TrajectoryId);
                // By the steps that were trained: of two that ended early at the same one, the second had nothing left to train.
                var last = milestone.EndedAtStep ?? milestone.Step;
                var saved = await siblings
                    .Where(experiment => experiment.Status == ExperimentStatus.Completed && experiment.TotalSteps != milestone.Step)
                    .Where(experiment => (experiment.EndedAtStep ?? experiment.TotalSteps) <= last)
                    .Where(experiment => (experiment.EndedAtStep ?? experiment.TotalSteps) <= fromStep || measured.Contains(experiment.TotalSteps))
                    .MaxAsync(experiment => experiment.DurationSeconds, token) ?? 0;
                var full = await StudyPlaces.FullAsync(db, [claim.TrajectoryId], token);
                var before = ExperimentStates.Before(ExperimentStatus.Completed);
                var completed = await siblings
                    // One that waits for another rate or length is not this one any more: it goes on from a checkpoint before.
                    .Where(experiment => experiment.TotalSteps == milestone.Step && before.Contains(experiment.Status) && experiment.Adjustment == null)
                    .ExecuteUpdateAsync(
                        set => set
                            .SetProperty(experiment => experiment.Status, ExperimentStatus.Completed)
                            .SetProperty(experiment => experiment.Accuracy, milestone.Accuracy)
                            .SetProperty(experiment => experiment.TestAccuracy, milestone.TestAccuracy)
                            .SetProperty(experiment => experiment.Loss, milestone.Loss)
                            .SetProperty(experiment => experiment.MeanSquaredError, milestone.MeanSquaredError)
                            .SetProperty(experiment => experiment.Diverged, milestone.Diverged)
                            .SetProperty(experiment => experiment.StoppedEarly, milestone.StoppedEarly)
                            .SetProperty(experiment => experiment.EndedAtStep, milestone.EndedAtStep)
                            .SetProperty(experiment => experiment.Reproducible, milestone.Reproducible)
                            .SetProperty(experiment => experiment.WeightsBlob, weightsBlob)
                            .SetProperty(experiment => experiment.WeightsHash, milestone.WeightsHash)
                            .SetProperty(experiment => experiment.DurationSeconds, milestone.TrainSeconds)
                            .SetProperty(experiment => experiment.SavedSeconds, Math.Min(saved, milestone.TrainSeconds))
                            .SetProperty(experiment => experiment.FinishedAt, experiment => ExperimentsDbContext.Now())
                            .SetProperty(experiment => experiment.Error, (string?)null),
                        token);
                if (completed > 0)
                {
                    await AddClassesAsync(db, claim, milestone, token);
                    await CompeteAsync(db, claim, milestone.Step, token);
                }

                await StudyPlaces.TicketAsync(db, queue, full, token);
                await MadeProgressAsync(db, claim, token);
            },
            cancellationToken);

    /// <summary>
    /// Records a stored checkpoint, applies the adjustments that waited for one, and drops all but the newest two and those from which an
    /// experiment that is not completed could go on.
    /// </summary>
    /// <returns>Blobs that no checkpoint names any more.</returns>
    public Task<List<string>> AddCheckpointAsync(Claim claim, Checkpoint checkpoint, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            async (db, token) =>
            {
                var all = db.Checkpoints.Where(other => other.TrajectoryId == claim.TrajectoryId);
                // The same step again (after a fallback to an older one) gives the same bytes of weights; the new file takes its place.
                var dropped = await all.Where(other => other.Step == checkpoint.Step).ToListAsync(token);
                var older = await all.Where(other => other.Step < checkpoint.Step).OrderByDescending(other => other.Step).ToListAsync(token);
                var passed = await db.Experiments
                    .Where(experiment => experiment.TrajectoryId == claim.TrajectoryId && experiment.Status != ExperimentStatus.Completed && experiment.TotalSteps < checkpoint.Step)
                    .Select(experiment => experiment.TotalSteps).ToListAsync(token);
                var needed = passed.Select(steps => older.Find(other => other.Step <= steps)).ToHashSet();
                dropped.AddRange(older.Skip(1).Where(other => !needed.Contains(other)));
                db.Checkpoints.RemoveRange(dropped);
                await db.SaveChangesAsync(token);
                db.Checkpoints.Add(checkpoint);
                await db.SaveChangesAsync(token);
                await MadeProgressAsync(db, claim, token);
                await Adjustments.ApplyAllAsync(db, queue, claim.TrajectoryId, checkpoint.Step, token);

                var blobs = dropped.Select(other => other.BlobHash).Distinct().ToList();
                var named = await db.Checkpoints.Where(other => blobs.Contains(other.BlobHash)).Select(other => other.BlobHash).ToListAsync(token);
                return blobs.Except(named).ToList();
            },
            cancellationToken);

    /// <summary>Ends the attempt in order and gives the lease back; what is queued on the trajectory waits for a worker again.</summary>
    public Task ReleaseAsync(Claim claim, AttemptOutcome outcome, int? step, CancellationToken cancellationToken) =>
        WriteAsync(claim, (db, token) => AttemptEnd.ReleaseAsync(db, queue, claim.TrajectoryId, claim.Fence, outcome, step, error: null, token), cancellationToken);

    /// <summary>Ends an attempt that was lost: another one, or failure after too many.</summary>
    public Task LoseAsync(Claim claim, AttemptOutcome outcome, int? step, string error, CancellationToken cancellationToken) =>
        WriteAsync(
            claim,
            (db, token) => AttemptEnd.LoseAsync(db, queue, options.Value.MaxLostAttempts, claim.TrajectoryId, claim.Fence, outcome, step, error, token),
            cancellationToken);

    private async Task WriteAsync(Claim claim, Func<ExperimentsDbContext, CancellationToken, Task> write, CancellationToken cancellationToken) =>
        await WriteAsync(
            claim,
            async (db, token) =>
            {
                await write(db, token);
                return true;
            },
            cancellationToken);

    private async Task<T> WriteAsync<T>(Claim claim, Func<ExperimentsDbContext, CancellationToken, Task<T>> write, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        return await db.TransactAsync(
            async token =>
            {
                // Takes the row's lock first, so that nothing that follows can be overtaken by another claim.
                var held = await db.Database.ExecuteSqlAsync(
                    $"""
                    UPDATE trajectories SET lease_until = now() + {options.Value.Lease}
                    WHERE id = {claim.TrajectoryId} AND fence = {claim.Fence} AND status = 'running' AND worker_id = {worker.Id}
                    """,
                    token);
                if (held != 1)
                    throw new LeaseLostException(claim);
                return await write(db, token);
            },
            cancellationToken);
    }

    private static Task<int> MadeProgressAsync(ExperimentsDbContext db, Claim claim, CancellationToken cancellationToken) =>
        db.Trajectories.Where(trajectory => trajectory.Id == claim.TrajectoryId)
            .ExecuteUpdateAsync(set => set.SetProperty(trajectory => trajectory.LostAttempts, 0), cancellationToken);

    private static async Task AddMetricsAsync(
        ExperimentsDbContext db, Claim claim, int every, IReadOnlyList<MetricsEvent> metrics, CancellationToken cancellationToken)
    {
        if (metrics.Count == 0)
            return;
        var points = metrics.SelectMany(point => point.Values.Select(value => (value.Key, point.Step, value.Value))).ToList();
        var names = points.Select(point => point.Key).ToArray();
        var steps = points.Select(point => point.Step).ToArray();
        var values = points.Select(point => point.Value).ToArray();
        // An attempt that goes over the same steps again measures the same values.
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO metric_points (trajectory_id, name, step, value)
            SELECT {claim.TrajectoryId}, name, step, value FROM unnest({names}, {steps}, {values}) AS point (name, step, value)
            ON CONFLICT (trajectory_id, name, step) DO UPDATE SET value = excluded.value
            """,
            cancellationToken);
        var newest = metrics.Max(point => point.Step);
        var stride = CurveLimit.Stride(newest, every);
        if (stride == every)
            return;
        // What lies before these points was thinned with them, unless the stride has just doubled. The one before was the newest, and stayed.
        var from = metrics.Min(point => point.Step) - every;
        if (CurveLimit.Stride(from, every) < stride)
            from = 0;
        var kinds = names.Distinct().ToArray();
        // Besides, the newest point stays until there is a newer one, and the best validation accuracy, which lists show.
        await db.Database.ExecuteSqlAsync(
            $"""
            DELETE FROM metric_points
            WHERE trajectory_id = {claim.TrajectoryId} AND name = ANY ({kinds}) AND step >= {from} AND step < {newest} AND step % {stride} <> 0
              AND step <> COALESCE((
                  SELECT step FROM metric_points
                  WHERE trajectory_id = {claim.TrajectoryId} AND name = 'validationAccuracy' AND value <= 1
                  ORDER BY value DESC, step LIMIT 1), 0)
            """,
            cancellationToken);
    }

    private static async Task AddClassesAsync(ExperimentsDbContext db, Claim claim, MilestoneEvent milestone, CancellationToken cancellationToken)
    {
        if (milestone.Classes is null)
            return;
        var validation = JsonSerializer.Serialize(milestone.Classes, ContractJson.Options);
        var test = milestone.TestClasses is null ? null : JsonSerializer.Serialize(milestone.TestClasses, ContractJson.Options);
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO experiment_classes (experiment_id, validation, test)
            SELECT id, {validation}::jsonb, {test}::jsonb FROM experiments
            WHERE trajectory_id = {claim.TrajectoryId} AND total_steps = {milestone.Step} AND status = 'completed'
            """,
            cancellationToken);
    }

    /// <summary>The best of a data set version: highest validation accuracy, then fewer steps, then the lower number.</summary>
    private static async Task CompeteAsync(ExperimentsDbContext db, Claim claim, int step, CancellationToken cancellationToken)
    {
        // A statement of its own: one that waited for the lock would still see the experiments as they were before it waited.
        await db.Database.ExecuteSqlAsync($"SELECT FROM data_set_versions WHERE id = {claim.DataSetVersionId} FOR NO KEY UPDATE", cancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE data_set_versions SET best_experiment_id = (
                SELECT id FROM experiments
                WHERE id = data_set_versions.best_experiment_id
                   OR (trajectory_id = {claim.TrajectoryId} AND total_steps = {step} AND status = 'completed')
                ORDER BY accuracy DESC NULLS LAST, total_steps, number LIMIT 1)
            WHERE id = {claim.DataSetVersionId}
            """,
            cancellationToken);
    }
}

/// <summary>What is wanted of a running trajectory.</summary>
/// <param name="Control">As of which <see cref="Trajectory.Control"/>.</param>
/// <param name="Steps">Its milestones, ascending.</param>
/// <param name="HasAdjustments">Whether experiments wait for a checkpoint to change at.</param>
public sealed record WantedSteps(long Control, IReadOnlyList<int> Steps, bool HasAdjustments);

/// <summary>The trajectory belongs to another worker now, or is gone: nothing that this attempt still does counts.</summary>
public sealed class LeaseLostException(Claim claim) : Exception($"The lease of trajectory {claim.TrajectoryId} (fence {claim.Fence}) is lost.");
