using System.Diagnostics;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>Takes trajectories for this worker.</summary>
public sealed class Claims(IDbContextFactory<ExperimentsDbContext> databases, WorkerIdentity worker, IOptions<WorkerOptions> options)
{
    private sealed record ClaimedRow(Guid Id, long Fence);

    /// <summary>
    /// Claims the best waiting trajectory that this worker can train: highest priority, then longest waiting. Null where there is
    /// none. Two workers never get the same one, and each claim has a higher fence than all before it.
    /// </summary>
    public async Task<Claim?> NextAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var asked = Stopwatch.GetTimestamp();
        return await db.TransactAsync(
            async token =>
            {
                var rows = await db.Database.SqlQuery<ClaimedRow>(
                    $"""
                    UPDATE trajectories
                    SET status = 'running', fence = fence + 1, lease_until = now() + {options.Value.Lease}, worker_id = {worker.Id}, waiting_since = NULL
                    WHERE id = (SELECT id FROM trajectories
                                WHERE status = 'waiting' AND trainer = ANY ({worker.Trainers}) AND (start_at IS NULL OR start_at <= now())
                                ORDER BY priority DESC, waiting_since, id
                                LIMIT 1 FOR UPDATE SKIP LOCKED)
                    RETURNING id AS "Id", fence AS "Fence"
                    """).ToListAsync(token);
                if (rows is not [var row])
                    return null;

                await db.Database.ExecuteSqlAsync(
                    $"""
                    UPDATE experiments SET status = 'running', worker = {worker.Name}
                    WHERE trajectory_id = {row.Id} AND status = 'queued' AND (start_at IS NULL OR start_at <= now())
                    """,
                    token);
                await db.Database.ExecuteSqlAsync(
                    $"""
                    INSERT INTO attempts (id, trajectory_id, fence, worker_id, worker_name, from_step, started_at)
                    SELECT {Guid.CreateVersion7()}, id, fence, {worker.Id}, {worker.Name}, step, now() FROM trajectories WHERE id = {row.Id}
                    """,
                    token);
                var trajectory = await db.Trajectories.AsNoTracking()
                    .Where(candidate => candidate.Id == row.Id)
                    .Select(candidate => new
                    {
                        candidate.DataSetVersionId,
                        candidate.Parameters,
                        candidate.LostAttempts,
                        Milestones = candidate.Experiments
                            .Where(experiment => experiment.Status == ExperimentStatus.Running)
                            .OrderBy(experiment => experiment.TotalSteps).Select(experiment => experiment.TotalSteps).ToList(),
                    })
                    .SingleAsync(token);
                return new Claim(
                    row.Id,
                    row.Fence,
                    trajectory.DataSetVersionId,
                    trajectory.Parameters.Deserialize<TrajectoryParameters>(ContractJson.Options)!,
                    trajectory.Milestones,
                    trajectory.LostAttempts,
                    asked);
            },
            cancellationToken);
    }
}

/// <summary>One claimed trajectory and what is to be done on it.</summary>
/// <param name="Fence">What every write names.</param>
/// <param name="Milestones">The steps of the experiments that wait for it, ascending.</param>
/// <param name="LostAttempts">How many were lost before it, one after another.</param>
/// <param name="AskedAt">Monotonic time (<see cref="Stopwatch.GetTimestamp"/>) from before the lease began.</param>
public sealed record Claim(
    Guid TrajectoryId,
    long Fence,
    Guid DataSetVersionId,
    TrajectoryParameters Parameters,
    IReadOnlyList<int> Milestones,
    int LostAttempts,
    long AskedAt);
