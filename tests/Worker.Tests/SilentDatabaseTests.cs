using System.Diagnostics;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

/// <summary>A database that takes everything and answers nothing: no error tells the worker, only the clock does.</summary>
[TestFixture]
public sealed class SilentDatabaseTests
{
    private const int Long = 4000;
    private static readonly (string, string) FrequentCheckpoints = ("CheckpointEvery", "00:00:00.3");

    private WorkerStack _stack = null!;
    private SilentProxy _proxy = null!;

    [SetUp]
    public async Task SetUp()
    {
        _stack = await WorkerStack.CreateAsync();
        _proxy = SilentProxy.To(_stack.Database.ConnectionString);
        _stack.WorkersDatabase = _proxy.ConnectionString;
    }

    [TearDown]
    public async Task TearDown()
    {
        await _stack.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Test]
    public async Task Trainers_AreDeadWithinTheLease_AndAfterItAllGoesOnWithTheSameResult()
    {
        var undisturbed = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var worker = _stack.StartWorker("anna", ("Slots", "2"), FrequentCheckpoints);
        var expected = await _stack.WhenFinalAsync(undisturbed.Id, Long);
        Trajectory[] disturbed = [await AddAsync(Long), await AddAsync(Long)];
        foreach (var trajectory in disturbed)
            await CheckpointOfAsync(trajectory);
        var trainers = Processes.ChildrenOf(worker.Id);

        _proxy.Silence();
        var clock = Stopwatch.StartNew();
        await Eventually.IsTrueAsync("the trainers to end", TimeSpan.FromSeconds(20), () => Task.FromResult(trainers.All(Processes.HasEnded)));
        var ended = clock.Elapsed;
        _proxy.Resume();

        Assert.That(trainers, Has.Count.EqualTo(2));
        Assert.That(ended, Is.LessThan(WorkerStack.Lease));
        foreach (var trajectory in disturbed)
        {
            var experiment = await _stack.WhenFinalAsync(trajectory.Id, Long);
            var attempts = await _stack.AttemptsAsync(trajectory.Id);
            Assert.Multiple(() =>
            {
                Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
                Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Lost, AttemptOutcome.Completed }));
                Assert.That(attempts[1].FromStep, Is.GreaterThan(0));
            });
        }
    }

    [Test]
    public async Task Drain_EndsWithinItsLimit_AndLeavesNoTrainer()
    {
        var worker = _stack.StartWorker("anna", ("DrainWithin", "00:00:02"), ("Lease", "00:10:00"));
        await StepsOfAsync(await AddAsync(1_000_000));
        var trainers = Processes.ChildrenOf(worker.Id);

        _proxy.Silence();
        var exitCode = await worker.StopAsync(TimeSpan.FromSeconds(15));

        Assert.Multiple(() =>
        {
            Assert.That(exitCode, Is.EqualTo(1));
            Assert.That(worker.Output, Does.Contain("Not everything ended within 10 s"));
            Assert.That(trainers, Is.Not.Empty.And.All.Matches<int>(Processes.HasEnded));
        });
    }

    private Task<Trajectory> AddAsync(int steps) => _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [steps]);

    private Task<int> CheckpointOfAsync(Trajectory trajectory) =>
        _stack.WhenAsync("a checkpoint", db => db.Checkpoints.CountAsync(checkpoint => checkpoint.TrajectoryId == trajectory.Id), checkpoints => checkpoints > 0);

    private Task<int> StepsOfAsync(Trajectory trajectory) =>
        _stack.WhenAsync("its first steps", db => db.MetricPoints.CountAsync(point => point.TrajectoryId == trajectory.Id), points => points > 0);
}
