using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MlExperiments.Worker.Housekeeping;

/// <summary>
/// Removes what nothing needs any more: old checkpoints and predictions, packs without images, files without a row. Every worker has
/// one; one at a time works. It goes in small steps, and what it does not come to is left for the next round.
/// </summary>
public sealed partial class Housekeeper(
    IDbContextFactory<ExperimentsDbContext> databases,
    NpgsqlDataSource dataSource,
    IBlobStore blobs,
    IOptions<HousekeepingOptions> options,
    TimeProvider time,
    ILogger<Housekeeper> logger) : BackgroundService
{
    /// <summary>Rows of one statement.</summary>
    private const int Batch = 1000;

    /// <summary>The advisory lock that all housekeepers agree on.</summary>
    private const long HousekeepingLock = 0x4d4c4578_486f7573;

    private sealed record PackRow(Guid Id, string BlobHash);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.Every, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await CleanAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The database or the blobs may be away; the next round goes on.
                LogFailed(logger, exception);
            }
        }
    }

    /// <summary>One round; nothing where another worker is at it.</summary>
    public async Task CleanAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var locking = new NpgsqlCommand($"SELECT pg_try_advisory_lock({HousekeepingLock})", connection);
        if (!(bool)(await locking.ExecuteScalarAsync(cancellationToken))!)
            return;
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            var checkpoints = await RemoveCheckpointsAsync(db, cancellationToken);
            var predictions = await RemovePredictionsAsync(db, cancellationToken);
            var packs = await RemovePacksAsync(db, cancellationToken);
            var (files, bytes) = await RemoveBlobsAsync(db, cancellationToken);
            if (checkpoints + predictions + packs + files > 0)
                LogRemoved(logger, checkpoints, predictions, packs, files, bytes);
        }
        finally
        {
            await using var unlocking = new NpgsqlCommand($"SELECT pg_advisory_unlock({HousekeepingLock})", connection);
            await unlocking.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private Task<int> RemoveCheckpointsAsync(ExperimentsDbContext db, CancellationToken cancellationToken) => InBatchesAsync(
        () => db.Database.ExecuteSqlAsync(
            $"""
            DELETE FROM checkpoints WHERE id IN (
                SELECT checkpoints.id FROM checkpoints JOIN trajectories ON trajectories.id = checkpoints.trajectory_id
                WHERE checkpoints.created_at < now() - {options.Value.KeepCheckpoints} AND trajectories.status = 'idle'
                  AND NOT EXISTS (SELECT FROM experiments WHERE experiments.trajectory_id = trajectories.id AND experiments.status IN ('queued', 'running', 'paused'))
                LIMIT {Batch})
            """,
            cancellationToken));

    private Task<int> RemovePredictionsAsync(ExperimentsDbContext db, CancellationToken cancellationToken) => InBatchesAsync(
        () => db.Database.ExecuteSqlAsync(
            $"""
            DELETE FROM predictions WHERE id IN (
                SELECT id FROM predictions WHERE finished_at < now() - {options.Value.KeepPredictions} LIMIT {Batch})
            """,
            cancellationToken));

    /// <summary>
    /// A pack is needed by its images, and by the data set versions that were made of them. One that is needed by nobody goes a round later
    /// than the grace: a version that is being made now may name it soon.
    /// </summary>
    private async Task<int> RemovePacksAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var unused = await db.Database.SqlQuery<PackRow>(
            $"""
            SELECT id AS "Id", blob_hash AS "BlobHash" FROM packs
            WHERE created_at < now() - {options.Value.Grace} AND NOT EXISTS (SELECT FROM images WHERE images.pack_id = packs.id)
            """).ToListAsync(cancellationToken);
        var inVersions = unused.Count == 0 ? [] : await PacksOfVersionsAsync(db, cancellationToken);
        var ids = unused.Where(pack => !inVersions.Contains(pack.BlobHash)).Select(pack => pack.Id).ToArray();
        await db.Database.ExecuteSqlAsync(
            $"UPDATE packs SET unused_since = CASE WHEN id = ANY ({ids}) THEN now() END WHERE (unused_since IS NOT NULL) <> (id = ANY ({ids}))", cancellationToken);
        return await db.Database.ExecuteSqlAsync(
            $"""
            DELETE FROM packs WHERE id = ANY ({ids}) AND unused_since < now() - {options.Value.Grace}
              AND NOT EXISTS (SELECT FROM images WHERE images.pack_id = packs.id)
            """,
            cancellationToken);
    }

    private async Task<HashSet<string>> PacksOfVersionsAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var packs = new HashSet<string>();
        foreach (var manifest in await db.DataSetVersions.Select(version => version.ManifestBlob).Distinct().ToListAsync(cancellationToken))
        {
            try
            {
                packs.UnionWith(DataSetManifest.ReadPacks(await blobs.GetPathAsync(manifest, cancellationToken)));
            }
            catch (BlobNotFoundException)
            {
                // Without it, nobody finds the images of that version any more.
            }
        }

        return packs;
    }

    private async Task<(int Files, long Bytes)> RemoveBlobsAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - options.Value.Grace;
        var inVersions = await PacksOfVersionsAsync(db, cancellationToken);
        var (files, bytes) = (0, 0L);
        await foreach (var chunk in ChunksAsync(blobs.ListAsync(before, cancellationToken)))
        {
            var hashes = chunk.Where(blob => !inVersions.Contains(blob.Hash)).Select(blob => blob.Hash).ToArray();
            var unnamed = (await db.Database.SqlQuery<string>(
                $"""
                SELECT blob AS "Value" FROM unnest({hashes}) AS listed (blob)
                WHERE NOT EXISTS (SELECT FROM packs WHERE blob_hash = listed.blob)
                  AND NOT EXISTS (SELECT FROM data_set_versions WHERE manifest_blob = listed.blob OR packed_blob = listed.blob)
                  AND NOT EXISTS (SELECT FROM experiments WHERE weights_blob = listed.blob)
                  AND NOT EXISTS (SELECT FROM checkpoints WHERE blob_hash = listed.blob)
                """).ToListAsync(cancellationToken)).ToHashSet();
            foreach (var blob in chunk.Where(blob => unnamed.Contains(blob.Hash)))
            {
                if (!await blobs.DeleteAsync(blob.Hash, before, cancellationToken))
                    continue;
                files++;
                bytes += blob.Length;
            }
        }

        return (files, bytes);
    }

    private static async Task<int> InBatchesAsync(Func<Task<int>> remove)
    {
        var removed = 0;
        while (true)
        {
            var batch = await remove();
            removed += batch;
            if (batch < Batch)
                return removed;
        }
    }

    private static async IAsyncEnumerable<List<BlobReference>> ChunksAsync(IAsyncEnumerable<BlobReference> listed)
    {
        var chunk = new List<BlobReference>();
        await foreach (var blob in listed)
        {
            chunk.Add(blob);
            if (chunk.Count < Batch)
                continue;
            yield return chunk;
            chunk = [];
        }

        if (chunk.Count > 0)
            yield return chunk;
    }

    [LoggerMessage(LogLevel.Information, "Removed {Checkpoints} checkpoints, {Predictions} predictions, {Packs} packs, and {Files} files of {Bytes} bytes that nothing needs")]
    private static partial void LogRemoved(ILogger logger, int checkpoints, int predictions, int packs, int files, long bytes);

    [LoggerMessage(LogLevel.Warning, "Housekeeping stopped half way; the next round goes on")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
