using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

/// <summary>Studies of which only so many trajectories may train at a time.</summary>
[TestFixture]
public sealed class StudyPlacesTests
{
    private JobsFixture _jobs = null!;
    private Study _one = null!;

    [SetUp]
    public async Task SetUp()
    {
        _jobs = await JobsFixture.CreateAsync();
        _one = await _jobs.Rows.AddStudyAsync(limit: 1);
    }

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    [Test]
    public async Task Next_OfAFullStudy_LeavesIt_AndTakesWhatComesAfter()
    {
        var first = await AddAsync(_one);
        await AddAsync(_one);
        var other = await AddAsync(null);

        var claims = await ClaimAllAsync();

        Assert.That(claims, Is.EqualTo(new[] { first.Id, other.Id }));
    }

    [Test]
    public async Task Next_FromManyWorkersAtOnce_NeverExceedsTheLimit()
    {
        var study = await _jobs.Rows.AddStudyAsync(limit: 3);
        for (var added = 0; added < 12; added++)
            await AddAsync(study);

        var claims = await Task.WhenAll(Enumerable.Range(0, 24)
            .Select(number => Task.Run(() => _jobs.NewWorker($"worker {number}").Claims.NextAsync(CancellationToken.None))));

        Assert.That(claims.OfType<Claim>().Count(), Is.EqualTo(3));
        Assert.That(await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None), Is.Null);
    }

    [Test]
    public async Task Next_OfATrajectoryThatAnotherStudyAsksForToo_IsClaimed_AndCountsForBoth()
    {
        await AddAsync(_one);
        var held = await AddAsync(_one);
        var shared = await AddAsync(_one);
        await _jobs.Rows.AddExperimentAsync(shared, JobsFixture.Parameters, 200);
        var worker = _jobs.NewWorker();
        var first = await worker.ClaimAsync();

        var second = await worker.ClaimAsync();
        await CompleteAsync(worker, first);

        Assert.That(second.TrajectoryId, Is.EqualTo(shared.Id));
        Assert.That(second.Milestones, Is.EqualTo(new[] { 100, 200 }));
        Assert.That(await worker.Claims.NextAsync(CancellationToken.None), Is.Null, "the shared one takes the study's place");
        Assert.That(await TicketsAsync(), Is.Zero);
        // From its own milestone on, it trains for the other study alone.
        await worker.Writer.CompleteMilestoneAsync(second, 0, [], TrajectoryWriterTests.Milestone(second, 100, 0.9), Rows.Hash("w"), CancellationToken.None);
        Assert.That(await TicketsAsync(), Is.EqualTo(1));
        Assert.That((await worker.ClaimAsync()).TrajectoryId, Is.EqualTo(held.Id));
    }

    [TestCase(AttemptOutcome.Completed)]
    [TestCase(AttemptOutcome.Drained)]
    [TestCase(AttemptOutcome.Failed)]
    [TestCase(AttemptOutcome.Lost)]
    public async Task End_OfAFullStudysTrajectory_WakesAWorkerForTheNext(AttemptOutcome outcome)
    {
        var first = await AddAsync(_one);
        var second = await AddAsync(_one);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        Assert.That(await worker.Claims.NextAsync(CancellationToken.None), Is.Null);

        if (outcome == AttemptOutcome.Completed)
        {
            await CompleteAsync(worker, claim);
        }
        else if (outcome == AttemptOutcome.Drained)
        {
            await worker.Writer.ReleaseAsync(claim, outcome, 10, CancellationToken.None);
        }
        else if (outcome == AttemptOutcome.Failed)
        {
            await using var db = _jobs.Database.NewContext();
            await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET lost_attempts = 2 WHERE id = {claim.TrajectoryId}");
            await worker.Writer.LoseAsync(claim, outcome, 10, "out of luck", CancellationToken.None);
        }
        else
        {
            await _jobs.ExpireAsync(claim.TrajectoryId);
            await _jobs.NewSweeper().SweepAsync(CancellationToken.None);
        }

        Assert.That(await TicketsAsync(), Is.GreaterThanOrEqualTo(1));
        var next = await worker.ClaimAsync();
        Assert.That(next.TrajectoryId, Is.EqualTo(second.Id), "the one that was given back waits since now");
        Assert.That(await worker.Claims.NextAsync(CancellationToken.None), Is.Null);
        Assert.That(first.Id, Is.EqualTo(claim.TrajectoryId));
    }

    [Test]
    public async Task Sweep_OfWhatALimitHoldsBack_IssuesNoTickets()
    {
        for (var added = 0; added < 3; added++)
            await AddAsync(_one);
        await _jobs.NewWorker().ClaimAsync();
        var other = await AddAsync(null);

        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);

        Assert.That(await TicketsAsync(), Is.EqualTo(1));
        Assert.That((await _jobs.NewWorker().ClaimAsync()).TrajectoryId, Is.EqualTo(other.Id));
    }

    private Task<Trajectory> AddAsync(Study? study) => _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], study: study);

    private Task<int> TicketsAsync() => _jobs.Queue.CountWaitingAsync(CancellationToken.None);

    private async Task<List<Guid>> ClaimAllAsync()
    {
        var claimed = new List<Guid>();
        while (await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None) is { } claim)
            claimed.Add(claim.TrajectoryId);
        return claimed;
    }

    private static async Task CompleteAsync(JobsFixture.TestWorker worker, Claim claim)
    {
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], TrajectoryWriterTests.Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None);
        await worker.Writer.ReleaseAsync(claim, AttemptOutcome.Completed, 100, CancellationToken.None);
    }
}
