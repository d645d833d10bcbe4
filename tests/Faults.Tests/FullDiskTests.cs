using System.Diagnostics;
using System.Net;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>Disks that are full, and disks that fail, while there are uploads and trainings.</summary>
[TestFixture]
public sealed class FullDiskTests
{
    private static readonly TimeSpan Lasts = TimeSpan.FromSeconds(Faults.Times(4, 60));

    private SmallDisk? _disk;
    private FailingFlush? _flush;
    private PrivatePostgres? _postgres;
    private TrainingGround _ground = null!;
    private Stack _stack = null!;

    [TearDown]
    public async Task TearDown()
    {
        await _stack.DisposeAsync();
        await _ground.DisposeAsync();
        if (_postgres is not null)
            await _postgres.DisposeAsync();
        _disk?.Dispose();
        _flush?.Dispose();
        (_disk, _flush, _postgres) = (null, null, null);
    }

    [Test]
    public async Task FullDisk_OfBlobsAndWorkers_CostsTimeOnly()
    {
        _disk = new SmallDisk(mebibytes: 128);
        _ground = await TrainingGround.CreateAsync(folder: Path.Combine(_disk.Path, "files"));
        // Again and again: what is deleted in the meantime makes room.
        await TroubleAsync($"the disk of blobs and workers full for {Lasts.TotalSeconds} s", HttpStatusCode.InsufficientStorage, _disk.Fill, _disk.Free);
    }

    [Test]
    public async Task DiskThatCannotFlush_CostsUploadsTimeOnly()
    {
        _flush = new FailingFlush();
        _ground = await TrainingGround.CreateAsync();
        await TroubleAsync($"`fsync` fails in the Api for {Lasts.TotalSeconds} s", HttpStatusCode.ServiceUnavailable, _flush.Begin, _flush.End, _flush.Environment);
    }

    [Test]
    public async Task FullDisk_OfPostgres_LosesNoAcknowledgedWrite()
    {
        _disk = new SmallDisk(mebibytes: 256);
        _postgres = await PrivatePostgres.StartAsync(Path.Combine(_disk.Path, "postgres"));
        _ground = await TrainingGround.CreateAsync(await TestDatabase.CreateAsync(_postgres));
        await StartAsync();
        await _ground.AddGridAsync();
        await using var uploads = new Uploads(_stack, await _stack.CreateModelAsync("uploads"));
        await Eventually.IsTrueAsync("an upload", TrainingGround.Patience, () => Task.FromResult(uploads.Acknowledged > 0));

        _disk.Fill();
        await Eventually.IsTrueAsync("PostgreSQL to have no room", TrainingGround.Patience, () =>
        {
            _disk.Fill();
            return Task.FromResult(uploads.Statuses.Contains(HttpStatusCode.ServiceUnavailable));
        });
        await Faults.PauseAsync(Lasts);
        var acknowledged = uploads.Acknowledged;
        _disk.Free();
        // It may have given up; then its service manager starts it again.
        await _postgres.LaunchAsync();
        await Eventually.IsTrueAsync("uploads to go on", TrainingGround.Patience, () => Task.FromResult(uploads.Acknowledged > acknowledged));
        await EndAsync(uploads, $"PostgreSQL's disk full for {Lasts.TotalSeconds} s", HttpStatusCode.ServiceUnavailable);
    }

    private async Task TroubleAsync(string fault, HttpStatusCode refusal, Action trouble, Action end, params (string Name, string Value)[] api)
    {
        await StartAsync();
        // Not the workers: their children would have the filter and not what answers it.
        await _stack.RestartApiAsync(api);
        await _ground.AddGridAsync();
        // The disk is the only trouble: a busy machine must not cost it its lease.
        var (name, _) = _ground.StartWorker(("Slots", "2"), ("Lease", "00:00:15"), ("LeaseMargin", "00:00:03"));
        await _ground.WhenTrainingAsync(name);
        await using var uploads = new Uploads(_stack, await _stack.CreateModelAsync("uploads"));

        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Lasts;)
        {
            trouble();
            await _ground.KeepBusyAsync();
            await Faults.PauseAsync(TimeSpan.FromMilliseconds(200));
        }

        var acknowledged = uploads.Acknowledged;
        end();
        await Eventually.IsTrueAsync("uploads to go on", TrainingGround.Patience, () => Task.FromResult(uploads.Acknowledged > acknowledged));
        await EndAsync(uploads, fault, refusal);
        await using var db = _ground.Stack.Database.NewContext();
        Assert.That(await db.Attempts.Where(attempt => attempt.Outcome != AttemptOutcome.Completed).Select(attempt => attempt.Error).ToListAsync(), Is.Empty);
    }

    private async Task StartAsync() =>
        _stack = await Stack.StartAsync(slots: 1, _ground.Stack.Database, ("Blobs__Folder", _ground.Stack.BlobFolder), ("Worker__EvaluateEvery", "50"));

    private async Task EndAsync(Uploads uploads, string fault, HttpStatusCode refusal)
    {
        await uploads.StopAsync();
        var missing = await uploads.MissingAsync();
        Assert.Multiple(() =>
        {
            Assert.That(uploads.Statuses, Is.EquivalentTo(new[] { HttpStatusCode.OK, refusal }));
            Assert.That(missing, Is.Empty);
        });
        await _ground.EndAsync(fault, 1, missing.Count);
    }
}
