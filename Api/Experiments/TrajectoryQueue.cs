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
    /// <summary>Queues every draft of a model; returns how many there were.</summary>
    public static Task<int> QueueDraftsAsync(ExperimentsDbContext db, IJobQueue queue, Guid modelId, CancellationToken cancellationToken) =>
        db.TransactAsync(
            async token =>
            {
                var ids = new List<Guid>();
                // Ordered, as whoever locks several does it, so that no two wait for each other.
                await using (var locking = Command(
                    db,
                    """
                    SELECT id FROM trajectories WHERE id IN (SELECT trajectory_id FROM experiments WHERE model_id = $1 AND status = 'draft')
                    ORDER BY fingerprint FOR UPDATE
                    """,
                    modelId))
                await using (var reader = await locking.ExecuteReaderAsync(token))
                {
                    while (await reader.ReadAsync(token))
                        ids.Add(reader.GetGuid(0));
                }

                var first = new Dictionary<Guid, int>();
                var queued = 0;
                await using (var queueing = Command(
                    db,
                    """
                    UPDATE experiments SET status = 'queued', queued_at = now() WHERE status = 'draft' AND trajectory_id = ANY($1)
                    RETURNING trajectory_id, number
                    """,
                    ids.ToArray()))
                await using (var reader = await queueing.ExecuteReaderAsync(token))
                {
                    for (; await reader.ReadAsync(token); queued++)
                    {
                        var (trajectory, number) = (reader.GetGuid(0), reader.GetInt32(1));
                        first[trajectory] = Math.Min(number, first.GetValueOrDefault(trajectory, number));
                    }
                }

                await TrajectorySchedule.WakeAsync(db, queue, [.. first.OrderBy(entry => entry.Value).Select(entry => entry.Key)], token);
                return queued;
            },
            cancellationToken);

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
