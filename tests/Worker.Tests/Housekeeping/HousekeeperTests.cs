using System.Text;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using MlExperiments.Worker.Housekeeping;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MlExperiments.Worker.Tests.Housekeeping;

[TestFixture]
public sealed class HousekeeperTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromHours(1);

    private JobsFixture _jobs = null!;
    private TemporaryFolder _folder = null!;
    private FolderBlobStore _blobs = null!;

    [SetUp]
    public async Task SetUp()
    {
        _jobs = await JobsFixture.CreateAsync();
        _folder = new TemporaryFolder();
        _blobs = new FolderBlobStore(Options.Create(new BlobOptions { Folder = _folder.Path }), TimeProvider.System);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _jobs.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task Files_ThatNoRowNames_GoWhenTheyAreOld()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var (weights, checkpoint, packed) = (await PutAsync("weights", old: true), await PutAsync("checkpoint", old: true), await PutAsync("packed", old: true));
        var (orphan, young) = (await PutAsync("orphan", old: true), await PutAsync("young", old: false));
        await ExecuteAsync("UPDATE experiments SET weights_blob = $1", weights);
        await ExecuteAsync("UPDATE data_set_versions SET packed_blob = $1", packed);
        await AddCheckpointAsync(trajectory.Id, checkpoint);

        await CleanAsync();

        Assert.That(await ThereAsync(weights, checkpoint, packed, young, orphan), Is.EqualTo(new[] { true, true, true, true, false }));
    }

    [Test]
    public async Task Packs_WithoutImages_StayWhileAVersionNeedsThem_AndGoAfterTheGrace()
    {
        var pictures = Enumerable.Range(0, 10).Select(number => new ManifestImage(
            System.Security.Cryptography.SHA256.HashData([(byte)number]), $"{number % 2}", ImageSplit.Train, "", 0, 1)).ToList();
        var (needed, unneeded) = (await AddPackAsync("needed"), await AddPackAsync("unneeded"));
        Assert.That(DataSetManifest.TryCreate([.. pictures.Select(image => image with { Pack = needed })], out var manifest, out var reason), reason);
        var path = Path.Combine(_folder.Path, "manifest");
        manifest!.Save(path);
        await using (var file = File.OpenRead(path))
            await ExecuteAsync("UPDATE data_set_versions SET manifest_blob = $1", (await _blobs.PutAsync(file, CancellationToken.None)).Hash);

        await CleanAsync();
        Assert.That(await PacksAsync(), Is.EquivalentTo(new[] { needed, unneeded }), "a version that is being made may name it still");
        await ExecuteAsync("UPDATE packs SET unused_since = unused_since - interval '2 hours'");
        await CleanAsync();

        Assert.That(await PacksAsync(), Is.EqualTo(new[] { needed }));
        Assert.That(await ThereAsync(needed, unneeded), Is.EqualTo(new[] { true, false }));
    }

    [Test]
    public async Task Packs_ThatAreUsedAgain_AreForgottenAsUnused()
    {
        var pack = await AddPackAsync("pack");
        await CleanAsync();
        await ExecuteAsync(
            """
            INSERT INTO images (id, model_id, sha256, pack_id, pack_offset, length, label, split, file_name, width, height, media_type, created_at)
            SELECT gen_random_uuid(), models.id, sha256('x'), packs.id, 0, 1, 'a', 'train', 'x.png', 28, 28, 'image/png', now() FROM models, packs
            """);
        await ExecuteAsync("UPDATE packs SET unused_since = unused_since - interval '2 hours'");

        await CleanAsync();

        Assert.That(await PacksAsync(), Is.EqualTo(new[] { pack }));
        Assert.That(await CountAsync("SELECT count(*) FROM packs WHERE unused_since IS NULL"), Is.EqualTo(1));
    }

    [Test]
    public async Task Checkpoints_OfTrajectoriesThatRest_GoWhenTheyAreOld()
    {
        var (rests, waits, paused, young) = (await AddAsync(), await AddAsync(), await AddAsync(), await AddAsync());
        await ExecuteAsync("UPDATE experiments SET status = 'cancelled' WHERE trajectory_id IN ($1, $2)", rests, young);
        await ExecuteAsync("UPDATE experiments SET status = 'paused' WHERE trajectory_id = $1", paused);
        await ExecuteAsync("UPDATE trajectories SET status = 'idle', waiting_since = NULL WHERE id IN ($1, $2, $3)", rests, paused, young);
        await ExecuteAsync("UPDATE checkpoints SET created_at = now() - interval '60 days' WHERE trajectory_id <> $1", young);

        await CleanAsync();

        await using var db = _jobs.Database.NewContext();
        Assert.That(await db.Checkpoints.Select(checkpoint => checkpoint.TrajectoryId).ToListAsync(), Is.EquivalentTo(new[] { waits, paused, young }));

        async Task<Guid> AddAsync()
        {
            var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
            await AddCheckpointAsync(trajectory.Id, Rows.Hash($"{trajectory.Id}"));
            return trajectory.Id;
        }
    }

    [Test]
    public async Task Predictions_ThatAreAnswered_GoWhenTheyAreOld()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        foreach (var finished in new[] { "now() - interval '31 days'", "now() - interval '29 days'", "NULL" })
            await ExecuteAsync(
                $"""
                INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, error, attempts, created_at, finished_at)
                SELECT gen_random_uuid(), model_id, id, CASE WHEN {finished} IS NULL THEN 'waiting' ELSE 'failed' END, '', 'x.png', 'none', 1, now(), {finished} FROM experiments
                """);

        await CleanAsync();

        Assert.That(await CountAsync("SELECT count(*) FROM predictions"), Is.EqualTo(2));
    }

    [Test]
    public async Task Round_WhileAnotherWorkerIsAtIt_DoesNothing()
    {
        var orphan = await PutAsync("orphan", old: true);
        await using (var other = await _jobs.Database.DataSource.OpenConnectionAsync())
        {
            await using var locking = new NpgsqlCommand($"SELECT pg_advisory_lock({0x4d4c4578_486f7573})", other);
            await locking.ExecuteNonQueryAsync();
            await CleanAsync();
            Assert.That(await ThereAsync(orphan), Is.EqualTo(new[] { true }));
            await using var unlocking = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", other);
            await unlocking.ExecuteNonQueryAsync();
        }

        await CleanAsync();
        Assert.That(await ThereAsync(orphan), Is.EqualTo(new[] { false }));
    }

    private Task CleanAsync() => new Housekeeper(
        _jobs.Databases,
        _jobs.Database.DataSource,
        _blobs,
        Options.Create(new HousekeepingOptions { Grace = Grace }),
        TimeProvider.System,
        NullLogger<Housekeeper>.Instance).CleanAsync(CancellationToken.None);

    private async Task<string> PutAsync(string content, bool old)
    {
        var blob = await _blobs.PutAsync(new MemoryStream(Encoding.UTF8.GetBytes(content)), CancellationToken.None);
        if (old)
            File.SetLastWriteTimeUtc(await _blobs.GetPathAsync(blob.Hash, CancellationToken.None), TimeProvider.System.GetUtcNow().UtcDateTime - (2 * Grace));
        return blob.Hash;
    }

    private async Task<string> AddPackAsync(string content)
    {
        var hash = await PutAsync(content, old: true);
        await ExecuteAsync("INSERT INTO packs (id, blob_hash, length, created_at) VALUES (gen_random_uuid(), $1, 10, now() - interval '2 hours')", hash);
        return hash;
    }

    private Task AddCheckpointAsync(Guid trajectoryId, string blob) => ExecuteAsync(
        """
        INSERT INTO checkpoints (id, trajectory_id, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at)
        VALUES (gen_random_uuid(), $1, 10, $2, 10, 1, 'TorchSharp', '1', 'cpu', now())
        """,
        trajectoryId, blob);

    private async Task<bool[]> ThereAsync(params string[] hashes)
    {
        var listed = new HashSet<string>();
        await foreach (var blob in _blobs.ListAsync(DateTimeOffset.MaxValue, CancellationToken.None))
            listed.Add(blob.Hash);
        return [.. hashes.Select(listed.Contains)];
    }

    private async Task<List<string>> PacksAsync()
    {
        await using var db = _jobs.Database.NewContext();
        return await db.Packs.Select(pack => pack.BlobHash).ToListAsync();
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var command = _jobs.Database.DataSource.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task ExecuteAsync(string sql, params object[] values)
    {
        await using var command = _jobs.Database.DataSource.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }
}
