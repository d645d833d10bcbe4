using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Queue;
using MlExperiments.Shared.Search;

namespace MlExperiments.Shared.Data;

/// <summary>What is to change of an experiment that has begun.</summary>
/// <param name="LearningRate">From the step on at which it is applied; null leaves it.</param>
/// <param name="Steps">The step at which it is measured; null leaves it.</param>
public sealed record Adjustment(double? LearningRate, int? Steps);

/// <summary>
/// Gives experiments other parameters. An experiment whose learning rate changes on the way moves to a trajectory of its own that forks at
/// that step: with the steps before it, their checkpoints and their curves. Inside a transaction that has locked the experiment's trajectory.
/// </summary>
public static class Adjustments
{
    private sealed record Id(Guid Value);

    /// <summary>Applies what waits on a trajectory.</summary>
    /// <param name="step">The newest checkpoint that counts.</param>
    public static async Task ApplyAllAsync(ExperimentsDbContext db, TicketQueue queue, Guid trajectoryId, int step, CancellationToken cancellationToken)
    {
        var waiting = await db.Experiments.AsNoTracking()
            .Where(experiment => experiment.TrajectoryId == trajectoryId && experiment.Adjustment != null && experiment.Status != ExperimentStatus.Completed)
            .OrderBy(experiment => experiment.Number)
            .ToListAsync(cancellationToken);
        foreach (var experiment in waiting)
        {
            var adjustment = experiment.Adjustment!.Value.Deserialize<Adjustment>(ContractJson.Options)!;
            if (await ApplyAsync(db, queue, experiment, adjustment, step, cancellationToken) is not { } twin)
                continue;
            await EndAsync(db, experiment, $"After the adjustment it would be the same as experiment {twin}.", cancellationToken);
            await TrajectorySchedule.RefreshAsync(db, queue, [trajectoryId], cancellationToken);
        }
    }

    /// <summary>Applies one from the newest checkpoint on, up to <paramref name="step"/>, that comes before the experiment's end.</summary>
    /// <returns>Null, or the number of the experiment that has these parameters already: then nothing was changed.</returns>
    public static async Task<int?> ApplyAsync(
        ExperimentsDbContext db, TicketQueue queue, Experiment experiment, Adjustment adjustment, int step, CancellationToken cancellationToken)
    {
        var steps = adjustment.Steps ?? experiment.TotalSteps;
        var from = await db.Checkpoints
            .Where(checkpoint => checkpoint.TrajectoryId == experiment.TrajectoryId && checkpoint.Step <= step && checkpoint.Step < steps)
            .MaxAsync(checkpoint => (int?)checkpoint.Step, cancellationToken) ?? 0;
        var parameters = Adjust(experiment.Parameters.Deserialize<ExperimentParameters>(ContractJson.Options)!, adjustment, from);
        return await MoveAsync(db, queue, experiment, parameters, from, cancellationToken);
    }

    /// <summary>The parameters with the adjustment from a step on.</summary>
    /// <param name="step">Steps that are done; at 0 there is nothing that keeps the old rate.</param>
    public static ExperimentParameters Adjust(ExperimentParameters parameters, Adjustment adjustment, int step)
    {
        var adjusted = parameters with { Steps = adjustment.Steps ?? parameters.Steps };
        if (adjustment.LearningRate is not { } rate || rate == parameters.LearningRateAt(step))
            return adjusted;
        if (step == 0)
            return adjusted with { LearningRate = rate, LearningRateChanges = null };
        var before = (parameters.LearningRateChanges ?? []).Where(change => change.Step < step);
        return adjusted with { LearningRateChanges = [.. before, new(step, rate)] };
    }

    /// <summary>Puts an experiment on the trajectory that its new parameters belong to.</summary>
    /// <param name="fromStep">How many of its trajectory's steps the new one has in common with it.</param>
    /// <returns>Null, or the number of the experiment that has these parameters already: then nothing was changed.</returns>
    public static async Task<int?> MoveAsync(
        ExperimentsDbContext db, TicketQueue queue, Experiment experiment, ExperimentParameters parameters, int fromStep, CancellationToken cancellationToken)
    {
        var version = await (
            from trajectory in db.Trajectories
            join candidate in db.DataSetVersions on trajectory.DataSetVersionId equals candidate.Id
            where trajectory.Id == experiment.TrajectoryId
            select candidate.Hash).SingleAsync(cancellationToken);
        var fingerprint = Fingerprint.OfExperiment(experiment.ModelId, version, parameters);
        var target = await FindTrajectoryAsync(
            db, experiment, parameters.WithoutSteps(), Fingerprint.OfTrajectory(experiment.ModelId, version, parameters.WithoutSteps()), fromStep, cancellationToken);
        // With the lock of the trajectory that it would be on: nobody makes one of these parameters now.
        var twin = await db.Experiments.Where(other => other.Fingerprint == fingerprint && other.Id != experiment.Id)
            .Select(other => (int?)other.Number).SingleOrDefaultAsync(cancellationToken);
        if (twin is not null)
            return twin;
        if (target != experiment.TrajectoryId && fromStep > 0)
            await ShareStepsAsync(db, experiment.TrajectoryId, target, fromStep, cancellationToken);
        var json = JsonSerializer.SerializeToElement(parameters, ContractJson.Options);
        await db.Experiments.Where(row => row.Id == experiment.Id).ExecuteUpdateAsync(
            set => set
                .SetProperty(row => row.TrajectoryId, target)
                .SetProperty(row => row.Parameters, json)
                .SetProperty(row => row.Fingerprint, fingerprint)
                .SetProperty(row => row.TotalSteps, parameters.Steps)
                .SetProperty(row => row.Adjustment, (JsonElement?)null)
                // Whoever trains the old trajectory goes on without it.
                .SetProperty(
                    row => row.Status,
                    row => row.Status == ExperimentStatus.Running && target != experiment.TrajectoryId ? ExperimentStatus.Queued : row.Status),
            cancellationToken);
        Guid[] changed = target == experiment.TrajectoryId ? [target] : [experiment.TrajectoryId, target];
        await TrajectorySchedule.RefreshAsync(db, queue, changed, cancellationToken);
        return null;
    }

    private static async Task<Guid> FindTrajectoryAsync(
        ExperimentsDbContext db, Experiment experiment, TrajectoryParameters parameters, string fingerprint, int fromStep, CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7();
        var json = JsonSerializer.Serialize(parameters, ContractJson.Options);
        Guid? parent = fromStep > 0 ? experiment.TrajectoryId : null;
        int? forkedAt = fromStep > 0 ? fromStep : null;
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO trajectories (id, model_id, data_set_version_id, trainer, parameters, fingerprint, status, priority, fence, step, epoch,
                                      steps_per_second, lost_attempts, created_at, parent_id, forked_at_step)
            SELECT {id}, model_id, data_set_version_id, trainer, {json}::jsonb, {fingerprint}, 'idle', 0, 0, {fromStep},
                   CASE WHEN {fromStep} = 0 OR step = 0 THEN 0 ELSE epoch * {fromStep} / step END, 0, 0, now(), {parent}, {forkedAt}
            FROM trajectories WHERE id = {experiment.TrajectoryId}
            ON CONFLICT (fingerprint) DO NOTHING
            """,
            cancellationToken);
        var found = await db.Database.SqlQuery<Id>($"""SELECT id AS "Value" FROM trajectories WHERE fingerprint = {fingerprint} FOR UPDATE""")
            .ToListAsync(cancellationToken);
        return found[0].Value;
    }

    /// <summary>Checkpoints and curves of the common steps; the blobs stay where they are.</summary>
    private static async Task ShareStepsAsync(ExperimentsDbContext db, Guid from, Guid to, int step, CancellationToken cancellationToken)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO checkpoints (id, trajectory_id, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at)
            SELECT gen_random_uuid(), {to}, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at
            FROM checkpoints WHERE trajectory_id = {from} AND step <= {step}
            ON CONFLICT (trajectory_id, step) DO NOTHING
            """,
            cancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO metric_points (trajectory_id, name, step, value)
            SELECT {to}, name, step, value FROM metric_points WHERE trajectory_id = {from} AND step <= {step}
            ON CONFLICT (trajectory_id, name, step) DO NOTHING
            """,
            cancellationToken);
    }

    private static Task<int> EndAsync(ExperimentsDbContext db, Experiment experiment, string reason, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"""
            UPDATE experiments SET status = 'cancelled', adjustment = NULL, error = {reason}, finished_at = now()
            WHERE id = {experiment.Id} AND status <> 'completed'
            """,
            cancellationToken);
}
