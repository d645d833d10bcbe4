using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>Workers that stand still, as in a virtual machine that is paused, until others have taken over.</summary>
[TestFixture]
public sealed class PausedWorkerTests
{
    private static readonly TimeSpan StopsWithin = TimeSpan.FromSeconds(5);

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task PausedWorker_ContinuedAfterAnotherTookOver_StopsAndWritesNothing()
    {
        var random = Faults.NewRandom();
        var times = Faults.Times(3, 50);
        await _ground.AddGridAsync();
        var workers = new[] { _ground.StartWorker(), _ground.StartWorker() };
        for (var pause = 0; pause < times;)
        {
            await _ground.KeepBusyAsync();
            var (name, process) = workers[random.Next(workers.Length)];
            await _ground.WhenTrainingAsync(name, isBusy: true);
            await Faults.PauseAsync(random.NextDouble() * TimeSpan.FromSeconds(0.5));
            int[] group = [process.Id, .. Processes.ChildrenOf(process.Id)];
            foreach (var member in group)
                Processes.Signal(member, Processes.Stop);
            // What it held when it stood still: it may have ended one trajectory and not have begun another.
            var held = await OpenAttemptsAsync(name);
            if (held.Count > 0)
                await _ground.WhenAsync("another worker to take over", db => HasNewHolderAsync(db, held[0], name), taken => taken);

            foreach (var member in group)
                Processes.Signal(member, Processes.Continue);
            var clock = Stopwatch.StartNew();
            if (held.Count > 0)
                await Eventually.IsTrueAsync("the trainer of what was lost to end", TrainingGround.Patience, () => Task.FromResult(Processes.HasEnded(group[1])));
            Assert.That(clock.Elapsed, Is.LessThan(StopsWithin), process.Output);
            // Between two trajectories it loses nothing: such a round doesn't count.
            pause += held.Count;
        }

        await _ground.EndAsync("SIGSTOP of a worker and its trainer past the lease, SIGCONT after another took over", times);
    }

    private async Task<List<Guid>> OpenAttemptsAsync(string worker)
    {
        await using var db = _ground.Stack.Database.NewContext();
        return await db.Attempts.Where(attempt => attempt.WorkerName == worker && attempt.Outcome == null).Select(attempt => attempt.TrajectoryId).ToListAsync();
    }

    /// <summary>Or the trajectory has nothing left to do, where it stood still just before its attempt's end.</summary>
    private static async Task<bool> HasNewHolderAsync(ExperimentsDbContext db, Guid trajectoryId, string old) =>
        await db.Trajectories.AnyAsync(trajectory => trajectory.Id == trajectoryId && trajectory.Status == TrajectoryStatus.Idle)
        || await db.Attempts.AnyAsync(attempt => attempt.TrajectoryId == trajectoryId && attempt.WorkerName != old
            && attempt.Fence > db.Attempts.Where(other => other.TrajectoryId == trajectoryId && other.WorkerName == old).Max(other => other.Fence));
}
