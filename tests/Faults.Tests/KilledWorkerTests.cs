using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>Workers that are killed while they train.</summary>
[TestFixture]
public sealed class KilledWorkerTests
{
    private static readonly string[] FailPoints =
    [
        "claim.open", "claim.taken", "attempt.started", "blob.written", "blob.renamed", "checkpoint.stored", "checkpoint.recorded:2",
        "milestone.stored:2", "milestone.completed", "attempt.done", "attempt.released",
    ];

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task KilledWorkers_AtRandomMoments_LoseAndRepeatNothing()
    {
        var random = Faults.NewRandom();
        var times = Faults.Times(10, 200);
        await _ground.AddGridAsync();
        var workers = new[] { _ground.StartWorker(), _ground.StartWorker() };
        for (var kill = 0; kill < times; kill++)
        {
            await _ground.KeepBusyAsync();
            var victim = random.Next(workers.Length);
            // Some die before they have claimed anything.
            if (random.Next(5) > 0)
                await _ground.WhenTrainingAsync(workers[victim].Name);
            await Faults.PauseAsync(random.NextDouble() * TimeSpan.FromSeconds(1.2));
            await workers[victim].Process.KillAsync();
            workers[victim] = _ground.StartWorker();
        }

        await _ground.EndAsync("`kill -9` of a worker at a random moment", times);
    }

    [Test]
    public async Task KilledWorker_AtEachFailPoint_LosesAndRepeatsNothing()
    {
        var random = Faults.NewRandom();
        await _ground.AddGridAsync();
        var points = FailPoints.ToArray();
        random.Shuffle(points);
        // Two at a time: each core has one.
        foreach (var pair in points.Chunk(2))
        {
            await _ground.KeepBusyAsync();
            var victims = pair.Select(point => (Point: point, _ground.StartWorkerUnder([], new() { [FailPoint.Variable] = point }).Process)).ToList();
            foreach (var (point, process) in victims)
                Assert.That(await process.WaitAsync(TrainingGround.Patience), Is.EqualTo(128 + Processes.Kill), $"{point}\n{process.Output}");
        }

        _ground.StartWorker(("Slots", "2"));
        await _ground.EndAsync("`kill -9` of a worker at each fail point of claim, checkpoint and completion", points.Length);
    }

    [Test]
    public async Task TornCheckpoint_FallsBackToTheOneBefore()
    {
        await _ground.AddGridAsync();
        List<Checkpoint> checkpoints;
        do
        {
            var (_, process) = _ground.StartWorker(("CheckpointEvery", "00:00:00.1"));
            await _ground.WhenAsync("two checkpoints of a running trajectory", NewestTwoAsync, newest => newest.Count == 2);
            await process.KillAsync();
            // It may have come further meanwhile, to the next trajectory at worst.
            checkpoints = await _ground.WhenAsync("its checkpoints", NewestTwoAsync, _ => true);
        }
        while (checkpoints.Count != 2);
        using (var torn = File.OpenWrite(_ground.Stack.BlobPath(checkpoints[0].BlobHash)))
            torn.SetLength(torn.Length / 2);

        _ground.StartWorker(("Slots", "2"));
        await _ground.EndAsync("a torn checkpoint", 1);
        await using var db = _ground.Stack.Database.NewContext();
        var attempts = await db.Attempts.Where(attempt => attempt.TrajectoryId == checkpoints[0].TrajectoryId).OrderBy(attempt => attempt.Fence).ToListAsync();
        Assert.That(attempts.Select(attempt => attempt.FromStep), Is.EqualTo(new[] { 0, checkpoints[1].Step }));
    }

    /// <summary>The checkpoints of a trajectory that is being trained and has two, newest first.</summary>
    private static Task<List<Checkpoint>> NewestTwoAsync(ExperimentsDbContext db) =>
        db.Checkpoints.AsNoTracking()
            .Where(checkpoint => db.Trajectories.Any(trajectory => trajectory.Id == checkpoint.TrajectoryId && trajectory.Status == TrajectoryStatus.Running)
                && db.Checkpoints.Count(other => other.TrajectoryId == checkpoint.TrajectoryId) == 2)
            .OrderByDescending(checkpoint => checkpoint.Step)
            .ToListAsync();
}
