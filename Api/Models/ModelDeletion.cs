using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Models;

/// <summary>
/// Deletes a model with all that it has, in steps of a bounded size: nobody else waits for long, and a deletion that is interrupted goes on
/// when it is asked for again. The files are left to housekeeping.
/// </summary>
internal static class ModelDeletion
{
    private const int Points = 50_000;
    private const int Trajectories = 200;
    private const int Images = 10_000;
    private const int Predictions = 5000;

    /// <returns>Whether there was such a model.</returns>
    public static async Task<bool> DeleteAsync(ExperimentsDbContext db, Guid id, CancellationToken cancellationToken)
    {
        // From here on nothing new comes: an archived model takes neither images nor experiments, and this one is never taken back.
        if (await db.Database.ExecuteSqlAsync(
                $"UPDATE models SET archived_at = COALESCE(archived_at, now()), is_being_deleted = true WHERE id = {id}", cancellationToken) == 0)
            return false;
        await RepeatAsync(
            Predictions,
            () => db.Database.ExecuteSqlAsync(
                $"DELETE FROM predictions WHERE id IN (SELECT id FROM predictions WHERE model_id = {id} LIMIT {Predictions})", cancellationToken));
        await RepeatAsync(
            Points,
            () => db.Database.ExecuteSqlAsync(
                $"""
                DELETE FROM metric_points WHERE ctid = ANY (ARRAY(
                    SELECT metric_points.ctid FROM metric_points JOIN trajectories ON trajectories.id = metric_points.trajectory_id
                    WHERE trajectories.model_id = {id} LIMIT {Points}))
                """,
                cancellationToken));
        // With their experiments, attempts and checkpoints; a worker that trains one finds that it is gone, and stops. Those who
        // watch are told of the model in the end, which stands for them all.
        await RepeatAsync(
            Trajectories,
            () => db.Database.ExecuteSqlAsync(
                $"""
                SELECT set_config('mlexperiments.deleting_model', {id.ToString()}, true);
                DELETE FROM trajectories WHERE id IN (SELECT id FROM trajectories WHERE model_id = {id} LIMIT {Trajectories})
                """,
                cancellationToken));
        await RepeatAsync(
            Images,
            () => db.Database.ExecuteSqlAsync($"DELETE FROM images WHERE id IN (SELECT id FROM images WHERE model_id = {id} LIMIT {Images})", cancellationToken));
        await db.Models.Where(model => model.Id == id).ExecuteDeleteAsync(cancellationToken);
        return true;
    }

    private static async Task RepeatAsync(int batch, Func<Task<int>> delete)
    {
        while (await delete() >= batch)
        {
            // There may be more.
        }
    }
}
