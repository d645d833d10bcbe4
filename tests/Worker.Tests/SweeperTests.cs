using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class SweeperTests
{
    private JobsFixture _jobs = null!;

    [SetUp]
    public async Task SetUp() => _jobs = await JobsFixture.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    private Task<int> TicketsAsync() => _jobs.Queue.CountWaitingAsync(CancellationToken.None);

    [Test]
    public async Task Sweep_FreesOnlyWhatLostItsLease()
    {
        var lost = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var held = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        await worker.ClaimAsync();
        await worker.ClaimAsync();
        await _jobs.ExpireAsync(lost.Id);

        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var attempt = await db.Attempts.SingleAsync(row => row.TrajectoryId == lost.Id);
        Assert.Multiple(() =>
        {
            Assert.That(db.Trajectories.Single(row => row.Id == lost.Id).Status, Is.EqualTo(TrajectoryStatus.Waiting));
            Assert.That(db.Trajectories.Single(row => row.Id == held.Id).Status, Is.EqualTo(TrajectoryStatus.Running));
            Assert.That(db.Experiments.Single(row => row.TrajectoryId == lost.Id).Status, Is.EqualTo(ExperimentStatus.Queued));
            Assert.That(attempt.Outcome, Is.EqualTo(AttemptOutcome.Lost));
            Assert.That(TicketsAsync().Result, Is.EqualTo(1));
        });
    }

    [Test]
    public async Task Sweep_OfAnAttemptThatHadNotBegun_GivesItNoStepsOfTheOneBefore()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var first = await worker.ClaimAsync();
        await worker.Writer.StartedAsync(first, 0, CancellationToken.None);
        await worker.Writer.RenewAsync(first, new ProgressEvent(trajectory.Id, 50, 1, 0.5, 9, 3), [], CancellationToken.None);
        await worker.Writer.LoseAsync(first, AttemptOutcome.Crashed, 50, "crash", CancellationToken.None);
        await worker.ClaimAsync();
        await _jobs.ExpireAsync(trajectory.Id);

        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var attempts = await db.Attempts.OrderBy(attempt => attempt.Fence).ToListAsync();
        Assert.That(attempts.Select(attempt => attempt.ToStep - attempt.FromStep), Is.EqualTo(new[] { 50, 0 }));
    }

    [Test]
    public async Task Sweep_IssuesTheMissingTicketsOnce()
    {
        for (var added = 0; added < 3; added++)
            await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);

        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);
        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);

        Assert.That(await TicketsAsync(), Is.EqualTo(3));
    }

    [Test]
    public async Task Sweep_WakesATrajectoryWhoseExperimentWasQueuedUnseen()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await using (var db = _jobs.Database.NewContext())
            await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET status = 'idle', waiting_since = NULL WHERE id = {trajectory.Id}");

        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);

        Assert.That((await _jobs.NewWorker().ClaimAsync()).TrajectoryId, Is.EqualTo(trajectory.Id));
    }

    [Test]
    public async Task Sweeps_AtTheSameTime_LoseAnAttemptOnce()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await _jobs.NewWorker().ClaimAsync();
        await _jobs.ExpireAsync(trajectory.Id);

        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _jobs.NewSweeper().SweepAsync(CancellationToken.None)));

        await using var db = _jobs.Database.NewContext();
        Assert.That(db.Trajectories.Single().LostAttempts, Is.EqualTo(1));
    }
}
