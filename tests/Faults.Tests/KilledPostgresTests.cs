using System.Diagnostics;
using System.Net;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>A database server that dies while there are uploads and trainings.</summary>
[TestFixture]
public sealed class KilledPostgresTests
{
    private static readonly TimeSpan ResumesWithin = TimeSpan.FromSeconds(30);

    private PrivatePostgres _postgres = null!;
    private TrainingGround _ground = null!;
    private Stack _stack = null!;

    [SetUp]
    public async Task SetUp()
    {
        _postgres = await PrivatePostgres.StartAsync();
        var database = await TestDatabase.CreateAsync(_postgres);
        _ground = await TrainingGround.CreateAsync(database);
        _stack = await Stack.StartAsync(slots: 2, database, ("Blobs__Folder", _ground.Stack.BlobFolder), ("Worker__EvaluateEvery", "50"));
    }

    [TearDown]
    public async Task TearDown()
    {
        await _stack.DisposeAsync();
        await _ground.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    [Test]
    public async Task KilledPostgres_DuringGridAndUploads_LosesNoAcknowledgedWrite()
    {
        var random = Faults.NewRandom();
        var times = Faults.Times(3, 50);
        await _ground.AddGridAsync();
        await using var uploads = new Uploads(_stack, await _stack.CreateModelAsync("uploads"));
        for (var kill = 0; kill < times; kill++)
        {
            await _ground.KeepBusyAsync();
            await Faults.PauseAsync(random.NextDouble() * TimeSpan.FromSeconds(2));
            await _postgres.KillAsync();
            await Faults.PauseAsync(random.NextDouble() * TimeSpan.FromSeconds(2));
            await _postgres.LaunchAsync();
            var clock = Stopwatch.StartNew();

            var (acknowledged, points) = (uploads.Acknowledged, await PointsAsync());
            await Eventually.IsTrueAsync("uploads to go on", TrainingGround.Patience, () => Task.FromResult(uploads.Acknowledged > acknowledged));
            await Eventually.IsTrueAsync("trainings to go on", TrainingGround.Patience, async () => await PointsAsync() > points || await HaveEndedAsync());
            Assert.That(clock.Elapsed, Is.LessThan(ResumesWithin));
        }

        await uploads.StopAsync();
        var missing = await uploads.MissingAsync();
        Assert.Multiple(() =>
        {
            Assert.That(uploads.Statuses, Is.EquivalentTo(new[] { HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable }));
            Assert.That(missing, Is.Empty);
        });
        await _ground.EndAsync("`kill -9` of PostgreSQL's postmaster during a grid and uploads", times, missing.Count);
    }

    private async Task<int> PointsAsync()
    {
        await using var db = _ground.Stack.Database.NewContext();
        return await db.MetricPoints.CountAsync();
    }

    private async Task<bool> HaveEndedAsync()
    {
        await using var db = _ground.Stack.Database.NewContext();
        return !await db.Trajectories.AnyAsync(trajectory => trajectory.Status != TrajectoryStatus.Idle);
    }
}
