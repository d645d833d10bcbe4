using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace MlExperiments.Api.Experiments;

/// <summary>
/// Puts trajectories up for training, inside <see cref="Transactions.TransactAsync{T}"/>. A trajectory is locked before its
/// experiments become queued, and so does a worker that finishes one before it looks whether there is more to do: whoever
/// comes second sees what the first did.
/// </summary>
internal static class TrajectoryQueue
{
    /// <summary>The most trajectories of one transaction: workers that report on one of them wait for it.</summary>
    private const int Batch = 500;

    /// <summary>Queues every draft of a model, in several transactions; returns how many there were.</summary>
    public static async Task<int> QueueDraftsAsync(ExperimentsDbContext db, TicketQueue queue, Guid modelId, CancellationToken cancellationToken)
    {
        // In the order in which they were made: each waits since it was queued.
        var drafts = await db.Experiments.Where(experiment => experiment.ModelId == modelId && experiment.Status == ExperimentStatus.Draft)
            .GroupBy(experiment => experiment.TrajectoryId).OrderBy(group => group.Min(experiment => experiment.Number)).Select(group => group.Key)
            .ToListAsync(cancellationToken);
        var queued = 0;
        foreach (var batch in drafts.Chunk(Batch))
            queued += await db.TransactAsync(token => QueueBatchAsync(db, queue, batch, token), cancellationToken);
        return queued;
    }

    private static async Task<int> QueueBatchAsync(ExperimentsDbContext db, TicketQueue queue, Guid[] trajectories, CancellationToken cancellationToken)
    {
        // Ordered, as whoever locks several does it, so that no two wait for each other.
        await db.Database.ExecuteSqlAsync($"SELECT FROM trajectories WHERE id = ANY ({trajectories}) ORDER BY fingerprint FOR UPDATE", cancellationToken);
        var queued = await db.Database.ExecuteSqlAsync(
            $"UPDATE experiments SET status = 'queued', queued_at = now() WHERE status = 'draft' AND trajectory_id = ANY ({trajectories})", cancellationToken);
        await TrajectorySchedule.WakeAsync(db, queue, trajectories, cancellationToken);
        return queued;
    }

    /// <summary>A command on the transaction's connection.</summary>
    /// <param name="first">On its own, so that one array is one value.</param>
    public static NpgsqlCommand Command(ExperimentsDbContext db, string sql, object first, params object[] others)
    {
        var command = new NpgsqlCommand(sql, (NpgsqlConnection)db.Database.GetDbConnection());
        foreach (var value in others.Prepend(first))
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        return command;
    }
}
