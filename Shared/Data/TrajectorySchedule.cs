using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Shared.Data;

/// <summary>
/// Brings trajectories in line with what their experiments want. A trajectory is locked before its experiments change, by whoever
/// changes them and by the worker that trains it: whoever comes second sees what the first did.
/// </summary>
public static class TrajectorySchedule
{
    /// <summary>
    /// The most tickets of one change. They keep more slots busy than anyone has until the sweeper adds the rest, and each takes
    /// milliseconds that somebody waits for.
    /// </summary>
    private const int MaxTickets = 100;

    private sealed record Row(bool IsNew);

    /// <summary>Makes locked trajectories with queued experiments wait for a worker, in the order given, as if none of their attempts had been lost.</summary>
    public static async Task WakeAsync(ExperimentsDbContext db, TicketQueue queue, Guid[] ids, CancellationToken cancellationToken)
    {
        await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET lost_attempts = 0 WHERE id = ANY ({ids}) AND status = 'idle'", cancellationToken);
        await RefreshAsync(db, queue, ids, cancellationToken);
    }

    /// <summary>
    /// Locks the trajectories of these experiments, in the order in which all lock several. An experiment that moves to another one while this
    /// waits is followed there.
    /// </summary>
    /// <returns>The trajectories.</returns>
    public static async Task<Guid[]> LockAsync(ExperimentsDbContext db, Guid[] experiments, CancellationToken cancellationToken)
    {
        var locked = Array.Empty<Guid>();
        while (true)
        {
            var wanted = await db.Experiments.Where(experiment => experiments.Contains(experiment.Id)).Select(experiment => experiment.TrajectoryId).Distinct()
                .ToArrayAsync(cancellationToken);
            if (!wanted.Except(locked).Any())
                return locked;
            locked = await db.Database.SqlQuery<Guid>(
                $"""SELECT id AS "Value" FROM trajectories WHERE id = ANY ({wanted}) ORDER BY fingerprint FOR UPDATE""").ToArrayAsync(cancellationToken);
        }
    }

    /// <summary>
    /// Lets those with queued experiments wait for a worker, in the order given, with a ticket each; lets those without rest; tells the workers
    /// of running ones that something else is wanted. Inside <see cref="Transactions.TransactAsync{T}"/>.
    /// </summary>
    /// <param name="ids">Trajectories that this transaction has locked.</param>
    public static async Task RefreshAsync(ExperimentsDbContext db, TicketQueue queue, Guid[] ids, CancellationToken cancellationToken)
    {
        if (ids.Length == 0)
            return;
        var rows = await db.Database.SqlQuery<Row>(
            $"""
            WITH wanted AS (
                SELECT ids.id, ids.place, trajectories.status AS before,
                       COALESCE(bool_or(experiments.status = 'queued'), false) AS queued,
                       COALESCE(max(experiments.priority) FILTER (WHERE experiments.status IN ('queued', 'running')), 0) AS priority,
                       CASE WHEN NOT bool_or(experiments.status = 'queued' AND experiments.start_at IS NULL)
                            THEN min(experiments.start_at) FILTER (WHERE experiments.status = 'queued') END AS start_at
                FROM unnest({ids}) WITH ORDINALITY AS ids (id, place)
                JOIN trajectories ON trajectories.id = ids.id
                LEFT JOIN experiments ON experiments.trajectory_id = ids.id
                GROUP BY ids.id, ids.place, trajectories.status),
            refreshed AS (
                UPDATE trajectories
                SET status = CASE WHEN before = 'running' THEN 'running' WHEN queued THEN 'waiting' ELSE 'idle' END,
                    waiting_since = CASE WHEN before <> 'running' AND queued
                                         THEN COALESCE(trajectories.waiting_since, now() + place * interval '1 microsecond') END,
                    priority = wanted.priority,
                    start_at = wanted.start_at,
                    control = trajectories.control + CASE WHEN before = 'running' THEN 1 ELSE 0 END
                FROM wanted WHERE trajectories.id = wanted.id
                RETURNING trajectories.id, before, trajectories.status, trajectories.start_at),
            told AS (
                SELECT pg_notify({ControlChannel.Name}, id::text) FROM refreshed WHERE before = 'running')
            SELECT before = 'idle' AND status = 'waiting' AND (start_at IS NULL OR start_at <= now()) AS "IsNew"
            FROM refreshed CROSS JOIN (SELECT count(*) AS times FROM told) AS told
            -- Asked for, so that it is carried out.
            WHERE told.times >= 0
            """).ToListAsync(cancellationToken);
        queue.Enqueue(db, Math.Min(rows.Count(row => row.IsNew), MaxTickets), cancellationToken);
    }
}
