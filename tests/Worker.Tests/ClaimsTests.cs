using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;
using Npgsql;

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
    public async Task Next_WhileAModelIsBeingDeleted_PassesItByWithoutWaiting()
    {
        var doomed = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var others = await Rows.AddAsync(_jobs.Database);
        var other = await others.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await using var db = _jobs.Database.NewContext();
        await db.Database.CreateExecutionStrategy().ExecuteAsync(async () =>
        {
            await using var deleting = await db.Database.BeginTransactionAsync();
            // As far as a cascade may have come: the experiments are gone, the trajectory is not.
            await db.Database.ExecuteSqlAsync($"SELECT FROM models WHERE id = {doomed.ModelId} FOR UPDATE");
            await db.Experiments.Where(experiment => experiment.TrajectoryId == doomed.Id).ExecuteDeleteAsync();

            var claim = await _jobs.NewWorker().ClaimAsync().WaitAsync(TimeSpan.FromSeconds(10));

            Assert.That(claim.TrajectoryId, Is.EqualTo(other.Id));
        });
    }

    [Test]
    public async Task Next_OfATrajectoryWhoseExperimentIsPausedMeanwhile_SetsItRight_AndTakesTheNext()
    {
        var unwanted = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var wanted = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        await using var pausing = await _jobs.Database.DataSource.OpenConnectionAsync();
        await using var transaction = await pausing.BeginTransactionAsync();
        await using (var pause = new NpgsqlCommand($"UPDATE experiments SET status = 'paused' WHERE trajectory_id = '{unwanted.Id}'", pausing))
            await pause.ExecuteNonQueryAsync();

        var claiming = _jobs.NewWorker().ClaimAsync();
        await using var db = _jobs.Database.NewContext();
        await Eventually.IsTrueAsync(
            "the claim to meet the pause",
            TimeSpan.FromSeconds(20),
            () => db.Database.SqlQuery<bool>($"""SELECT count(*) > 0 AS "Value" FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'""").SingleAsync());
        await transaction.CommitAsync();

        Assert.That((await claiming).TrajectoryId, Is.EqualTo(wanted.Id));
        Assert.Multiple(() =>
        {
            Assert.That(db.Trajectories.Single(trajectory => trajectory.Id == unwanted.Id).Status, Is.EqualTo(TrajectoryStatus.Idle));
            Assert.That(db.Attempts.Select(attempt => attempt.TrajectoryId), Is.EqualTo(new[] { wanted.Id }));
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

        // A claimer that meets only locked rows comes away empty-handed; whatever is left is claimed by the next ticket.
        var claimed = claims.OfType<Claim>().ToList();
        while (await _jobs.NewWorker().Claims.NextAsync(CancellationToken.None) is { } late)
            claimed.Add(late);
        Assert.That(claimed.Select(claim => claim.TrajectoryId).Distinct().Count(), Is.EqualTo(trajectories));
        Assert.That(claimed, Has.Count.EqualTo(trajectories));
    }
}
