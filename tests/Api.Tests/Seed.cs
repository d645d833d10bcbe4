using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests;

/// <summary>Rows that uploads and workers write, for tests of what comes after.</summary>
internal static class Seed
{
    /// <summary>A model with images that exist as rows only: enough to be bound to, not to be trained on.</summary>
    public static async Task<Guid> ModelAsync(this TestDatabase database, int images = 200, int classes = 10)
    {
        await using var db = database.NewContext();
        var model = new Model
        {
            Name = $"model {Guid.NewGuid():N}", InputWidth = 28, InputHeight = 28, InputChannels = 1, CreatedAt = DateTimeOffset.UnixEpoch,
        };
        db.Add(model);
        await db.SaveChangesAsync();
        await database.ExecuteAsync(
            """
            WITH pack AS (
                INSERT INTO packs (id, blob_hash, length, created_at) VALUES (gen_random_uuid(), encode(sha256($1::text::bytea), 'hex'), 1000000, now()) RETURNING id)
            INSERT INTO images (id, model_id, sha256, pack_id, pack_offset, length, label, split, file_name, width, height, media_type, created_at)
            SELECT gen_random_uuid(), $1, sha256(($1::text || i)::bytea), pack.id, i * 10, 10, (i % $3)::text, 'train', i || '.png', 28, 28, 'image/png', now()
            FROM pack, generate_series(1, $2) AS i
            """,
            model.Id, images, classes);
        return model.Id;
    }

    /// <summary>Completes an experiment as a worker would, and keeps the data set version's best.</summary>
    public static Task CompleteAsync(
        this TestDatabase database, Guid experiment, double accuracy, double? testAccuracy = null, double loss = 0.1, string? weights = null) =>
        database.ExecuteAsync(
            """
            WITH done AS (
                UPDATE experiments SET status = 'completed', accuracy = $2, test_accuracy = $3, loss = $4, mean_squared_error = 0.01, weights_blob = $5,
                       weights_hash = $5, duration_seconds = total_steps * 0.01, saved_seconds = 0, worker = 'worker-1',
                       queued_at = COALESCE(queued_at, now()), started_at = now(), finished_at = now()
                WHERE id = $1 RETURNING trajectory_id)
            UPDATE data_set_versions SET best_experiment_id = (
                SELECT id FROM (
                    SELECT id, accuracy, total_steps, number FROM experiments
                    WHERE status = 'completed' AND id <> $1 AND trajectory_id IN (SELECT id FROM trajectories WHERE data_set_version_id = data_set_versions.id)
                    UNION ALL SELECT id, $2, total_steps, number FROM experiments WHERE id = $1) AS candidates
                ORDER BY accuracy DESC, total_steps, number LIMIT 1)
            FROM done JOIN trajectories ON trajectories.id = done.trajectory_id WHERE data_set_versions.id = trajectories.data_set_version_id
            """,
            experiment, accuracy, testAccuracy ?? (object)DBNull.Value, loss, weights ?? new string('a', 64));

    /// <summary>Results by class as a worker stores them, of an experiment that is completed.</summary>
    public static Task ClassesAsync(this TestDatabase database, Guid experiment, ClassMeasurement validation, ClassMeasurement? test = null) =>
        database.ExecuteAsync(
            "INSERT INTO experiment_classes (experiment_id, validation, test) VALUES ($1, $2::jsonb, $3::jsonb)",
            experiment,
            JsonSerializer.Serialize(validation, ContractJson.Options),
            test is null ? DBNull.Value : JsonSerializer.Serialize(test, ContractJson.Options));

    /// <summary>A worker that was seen just now.</summary>
    public static Task WorkerAsync(this TestDatabase database, string name, int slots = 2, int busySlots = 0, int seenSecondsAgo = 0) =>
        database.ExecuteAsync(
            """
            INSERT INTO workers (id, name, host, process_id, version, trainers, slots, busy_slots, job_engine, torch_engine, started_at, last_seen_at)
            VALUES (gen_random_uuid(), $1, 'host', 1, '0.1.0', '{torch}', $2, $3, 'Hangfire 1.8.25', 'TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)', now(), now() - $4 * interval '1 second')
            """,
            name, slots, busySlots, seenSecondsAgo);

    public static async Task<int> ExecuteAsync(this TestDatabase database, string sql, params object[] values)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteNonQueryAsync();
    }

    public static async Task<T> ScalarAsync<T>(this TestDatabase database, string sql, params object[] values)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        return (T)(await command.ExecuteScalarAsync())!;
    }
}
