using System.Diagnostics;
using System.Text.Json;
using MlExperiments.Shared;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker.Jobs;

/// <summary>Takes trajectories for this worker.</summary>
public sealed class Claims(IDbContextFactory<ExperimentsDbContext> databases, TicketQueue queue, WorkerIdentity worker, IOptions<WorkerOptions> options)
{
    /// <summary>The advisory lock that all claimers agree on.</summary>
    private const long ClaimLock = 0x4d4c4578_436c6169;

    private sealed record ClaimedRow(Guid Id, long Fence);

    /// <summary>
    /// Claims the best waiting trajectory that this worker can train: highest priority, then longest waiting, of those that a study with
    /// room asks for. Null where there is none. Two workers never get the same one, and each claim has a higher fence than all before it. A model that is being deleted is left alone.
    /// </summary>
    public async Task<Claim?> NextAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        return await db.TransactAsync(
            async token =>
            {
                // One claim after another: two at once would both take a limited study's last place. Whoever stands still meanwhile, with its
                // whole machine, is cut off, so that the others go on.
                await db.Database.ExecuteSqlAsync(
                    $"SELECT set_config('idle_in_transaction_session_timeout', '10s', true), pg_advisory_xact_lock({ClaimLock})", token);
                // After the wait, as the lease begins: neither is used up by those who came first.
                var asked = Stopwatch.GetTimestamp();
                while (await TakeAsync(db, token) is { } row)
                {
                    if (await BeginAsync(db, row, asked, token) is { } claim)
                        return claim;
                    // None of its experiments is due after all: it is set right, and the next one taken.
                    await AttemptEnd.GiveBackAsync(db, queue, row.Id, full: [], token);
                }

                return null;
            },
            cancellationToken);
    }

    private async Task<ClaimedRow?> TakeAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var rows = await db.Database.SqlQuery<ClaimedRow>(
            $"""
            UPDATE trajectories
            SET status = 'running', fence = fence + 1, lease_until = clock_timestamp() + {options.Value.Lease}, worker_id = {worker.Id}, waiting_since = NULL
            WHERE id = (SELECT trajectories.id FROM trajectories JOIN models ON models.id = trajectories.model_id
                        WHERE status = 'waiting' AND trajectories.trainer = ANY ({worker.Trainers}) AND (start_at IS NULL OR start_at <= now())
                          AND EXISTS (SELECT FROM experiments
                                      WHERE experiments.trajectory_id = trajectories.id AND experiments.status = 'queued'
                                        AND (experiments.start_at IS NULL OR experiments.start_at <= now())
                                        AND experiments.study_id NOT IN (SELECT id FROM full_studies))
                        ORDER BY priority DESC, waiting_since, trajectories.id
                        LIMIT 1 FOR UPDATE OF trajectories SKIP LOCKED FOR KEY SHARE OF models SKIP LOCKED)
            RETURNING id AS "Id", fence AS "Fence"
            """).ToListAsync(cancellationToken);
        return rows is [var row] ? row : null;
    }

    private async Task<Claim?> BeginAsync(ExperimentsDbContext db, ClaimedRow row, long asked, CancellationToken cancellationToken)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE experiments SET status = 'running', worker = {worker.Name}
            WHERE trajectory_id = {row.Id} AND status = 'queued' AND (start_at IS NULL OR start_at <= now())
            """,
            cancellationToken);
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
            .SingleAsync(cancellationToken);
        if (trajectory.Milestones.Count == 0)
            return null;
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO attempts (id, trajectory_id, fence, worker_id, worker_name, from_step, started_at)
            SELECT {Guid.CreateVersion7()}, id, fence, {worker.Id}, {worker.Name}, step, lease_until - {options.Value.Lease} FROM trajectories WHERE id = {row.Id}
            """,
            cancellationToken);
        FailPoint.Hit("claim.open");
        return new Claim(
            row.Id,
            row.Fence,
            trajectory.DataSetVersionId,
            trajectory.Parameters.Deserialize<TrajectoryParameters>(ContractJson.Options)!,
            trajectory.Milestones,
            trajectory.LostAttempts,
            asked);
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
