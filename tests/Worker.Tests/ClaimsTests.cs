using MlExperiments.Shared.Data;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class ClaimsTests
{
    private JobsFixture _jobs = null!;

    [SetUp]
    public async Task SetUp() => _jobs = await JobsFixture.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    [Test]
    public async Task Next_WithNothingWaiting_IsNull() =>
        Assert.That(await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None), Is.Null);

    [Test]
    public async Task Next_TakesTheTrajectoryWithItsQueuedMilestonesInOrder()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [400, 100, 200]);
        await _jobs.Rows.AddExperimentAsync(trajectory, JobsFixture.Parameters, 800, ExperimentStatus.Draft);
        var worker = _jobs.NewWorker("anna");

        var claim = await worker.ClaimAsync();

        await using var db = _jobs.Database.NewContext();
        var experiments = await db.Experiments.OrderBy(experiment => experiment.TotalSteps).ToListAsync();
        var attempt = await db.Attempts.SingleAsync();
        Assert.Multiple(() =>
        {
            Assert.That(claim.Milestones, Is.EqualTo(new[] { 100, 200, 400 }));
            Assert.That(claim.Parameters, Is.EqualTo(JobsFixture.Parameters));
            Assert.That(claim.Fence, Is.EqualTo(1));
            Assert.That(experiments.Take(3).Select(experiment => experiment.Status), Is.All.EqualTo(ExperimentStatus.Running));
            Assert.That(experiments.Take(3).Select(experiment => experiment.Worker), Is.All.EqualTo("anna"));
            Assert.That(experiments[3].Status, Is.EqualTo(ExperimentStatus.Draft));
            Assert.That((attempt.TrajectoryId, attempt.Fence, attempt.Outcome), Is.EqualTo((trajectory.Id, 1L, (AttemptOutcome?)null)));
        });
    }

    [Test]
    public async Task Next_PrefersPriorityThenAge()
    {
        var older = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var newer = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var urgent = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], priority: 1);
        var worker = _jobs.NewWorker();

        List<Guid> order = [];
        for (var claims = 0; claims < 3; claims++)
            order.Add((await worker.ClaimAsync()).TrajectoryId);

        Assert.That(order, Is.EqualTo(new[] { urgent.Id, older.Id, newer.Id }));
    }

    [Test]
    public async Task Next_LeavesWhatItHasNoTrainerFor()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await using (var db = _jobs.Database.NewContext())
            await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET trainer = 'another' WHERE id = {trajectory.Id}");

        Assert.That(await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None), Is.Null);
    }

    [Test]
    public async Task Next_WhereNoExperimentIsDue_SetsTheTrajectoryRight_AndTakesTheNext()
    {
        var unwanted = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var later = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var due = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await using var db = _jobs.Database.NewContext();
        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET status = 'paused' WHERE trajectory_id = {unwanted.Id}");
        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET start_at = now() + interval '1 hour' WHERE trajectory_id = {later.Id}");

        Assert.That((await _jobs.NewWorker().ClaimAsync()).TrajectoryId, Is.EqualTo(due.Id));
        Assert.That(await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None), Is.Null);
        var stored = await db.Trajectories.ToDictionaryAsync(trajectory => trajectory.Id);
        Assert.Multiple(() =>
        {
            Assert.That((stored[unwanted.Id].Status, stored[unwanted.Id].StartAt), Is.EqualTo((TrajectoryStatus.Idle, (DateTimeOffset?)null)));
            Assert.That((stored[later.Id].Status, stored[later.Id].StartAt), Is.EqualTo((TrajectoryStatus.Waiting, db.Experiments.Single(row => row.TrajectoryId == later.Id).StartAt)));
            Assert.That(db.Attempts.Select(attempt => attempt.TrajectoryId), Is.EqualTo(new[] { due.Id }));
        });
    }

    [Test]
    public async Task Next_FromManyWorkersAtOnce_GivesEachTrajectoryOnce()
    {
        const int trajectories = 12;
        for (var added = 0; added < trajectories; added++)
            await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);

        var claims = await Task.WhenAll(Enumerable.Range(0, 3 * trajectories)
            .Select(number => Task.Run(() => _jobs.NewWorker($"worker {number}").Claims.NextAsync(CancellationToken.None))));

        // A claimer that met only locked rows came away empty-handed; whatever is left is claimed by the next ticket.
        var claimed = claims.OfType<Claim>().ToList();
        while (await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None) is { } late)
            claimed.Add(late);
        Assert.That(claimed.Select(claim => claim.TrajectoryId).Distinct().Count(), Is.EqualTo(trajectories));
        Assert.That(claimed, Has.Count.EqualTo(trajectories));
    }
}
