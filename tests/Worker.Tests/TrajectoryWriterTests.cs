using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class TrajectoryWriterTests
{
    private JobsFixture _jobs = null!;

    [SetUp]
    public async Task SetUp() => _jobs = await JobsFixture.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    [TestCase(true, Description = "the same worker claimed it again: the fence alone tells the attempts apart")]
    [TestCase(false)]
    public async Task EveryWrite_OfAStaleAttempt_IsRefusedAndChangesNothing(bool sameWorker)
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200]);
        var stale = _jobs.NewWorker("stale");
        var old = await stale.ClaimAsync();
        await _jobs.ExpireAsync(trajectory.Id);
        await _jobs.NewSweeper().SweepAsync(CancellationToken.None);
        var current = sameWorker ? stale : _jobs.NewWorker("current");
        var claim = await current.ClaimAsync();
        await current.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None);

        var before = await SnapshotAsync();
        Assert.Multiple(() =>
        {
            Refused(() => stale.Writer.RenewAsync(old, new ProgressEvent(old.TrajectoryId, 50, 1, 0.5, 9, 3), [], CancellationToken.None));
            Refused(() => stale.Writer.StartedAsync(old, 10, CancellationToken.None));
            Refused(() => stale.Writer.CompleteMilestoneAsync(old, 0, [], Milestone(old, 100, 0.1), Rows.Hash("stale"), CancellationToken.None));
            Refused(() => stale.Writer.CompleteMilestoneAsync(old, 0, [], Milestone(old, 200, 0.1), Rows.Hash("stale"), CancellationToken.None));
            Refused(() => stale.Writer.AddCheckpointAsync(old, NewCheckpoint(old, 150), CancellationToken.None));
            Refused(() => stale.Writer.ReleaseAsync(old, AttemptOutcome.Completed, 200, CancellationToken.None));
            Refused(() => stale.Writer.LoseAsync(old, AttemptOutcome.Crashed, 50, "stale", CancellationToken.None));
        });
        Assert.That(await SnapshotAsync(), Is.EqualTo(before));
        Assert.That(claim.Fence, Is.GreaterThan(old.Fence));

        static void Refused(Func<Task> write) => Assert.ThrowsAsync<LeaseLostException>(write);
    }

    [Test]
    public async Task CompleteMilestone_StoresTheMeasurementAndWhatSharingSaved()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();

        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9) with { TrainSeconds = 1.5 }, Rows.Hash("a"), CancellationToken.None);
        await worker.Writer.CompleteMilestoneAsync(
            claim, 0, [100], Milestone(claim, 200, 0.95) with { TrainSeconds = 3.25, TestAccuracy = 0.8, StoppedEarly = true, EndedAtStep = 170 }, Rows.Hash("b"), CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var experiments = await db.Experiments.OrderBy(experiment => experiment.TotalSteps).ToListAsync();
        Assert.Multiple(() =>
        {
            Assert.That(experiments.Select(experiment => experiment.Status), Is.All.EqualTo(ExperimentStatus.Completed));
            Assert.That(experiments.Select(experiment => experiment.Accuracy), Is.EqualTo(new[] { 0.9, 0.95 }));
            Assert.That(experiments.Select(experiment => experiment.TestAccuracy), Is.EqualTo(new double?[] { null, 0.8 }));
            Assert.That(experiments.Select(experiment => experiment.DurationSeconds), Is.EqualTo(new[] { 1.5, 3.25 }));
            Assert.That(experiments.Select(experiment => experiment.SavedSeconds), Is.EqualTo(new[] { 0, 1.5 }));
            Assert.That(experiments.Select(experiment => (experiment.StoppedEarly, experiment.EndedAtStep)), Is.EqualTo(new[] { (false, (int?)null), (true, 170) }));
            Assert.That(experiments.Select(experiment => experiment.WeightsBlob), Is.EqualTo(new[] { Rows.Hash("a"), Rows.Hash("b") }));
        });
    }

    [Test]
    public async Task Times_AreOfTheClockThatGivesTheLease()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        await using var db = _jobs.Database.NewContext();

        var claim = await worker.ClaimAsync();
        Assert.That((await db.Attempts.AsNoTracking().SingleAsync()).StartedAt, Is.EqualTo(await LeasedAtAsync()));
        await worker.Writer.StartedAsync(claim, 0, CancellationToken.None);
        Assert.That((await db.Experiments.AsNoTracking().SingleAsync()).StartedAt, Is.EqualTo(await LeasedAtAsync()));
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None);
        Assert.That((await db.Experiments.AsNoTracking().SingleAsync()).FinishedAt, Is.EqualTo(await LeasedAtAsync()));

        async Task<DateTimeOffset> LeasedAtAsync() => (await db.Trajectories.AsNoTracking().SingleAsync()).LeaseUntil!.Value - _jobs.Options.Lease;
    }

    [Test]
    public async Task CompleteMilestone_Twice_KeepsTheFirstResult()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();

        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("first"), CancellationToken.None);
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.1), Rows.Hash("second"), CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        Assert.That((await db.Experiments.SingleAsync()).WeightsBlob, Is.EqualTo(Rows.Hash("first")));
    }

    [TestCase(new[] { 0.9, 0.8, 0.7 }, 100)]
    [TestCase(new[] { 0.7, 0.9, 0.9 }, 200, Description = "a tie goes to fewer steps")]
    [TestCase(new[] { 0.7, 0.8, 0.9 }, 400)]
    public async Task Best_IsTheMostAccurateThenTheShortest(double[] accuracies, int expectedSteps)
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200, 400]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        foreach (var (step, accuracy) in claim.Milestones.Zip(accuracies))
            await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, step, accuracy), Rows.Hash($"{step}"), CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var best = await db.DataSetVersions.Join(db.Experiments, version => version.BestExperimentId, experiment => experiment.Id, (_, experiment) => experiment)
            .SingleAsync();
        Assert.That(best.TotalSteps, Is.EqualTo(expectedSteps));
    }

    [Test]
    public async Task Best_OfMilestonesThatCompleteAtTheSameTime_IsTheMostAccurate()
    {
        const int rounds = 10;
        var worker = _jobs.NewWorker();
        for (var round = 0; round < rounds; round++)
        {
            List<(Claim Claim, double Accuracy)> claims = [];
            for (var place = 0; place < 4; place++)
            {
                await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
                claims.Add((await worker.ClaimAsync(), 0.5 + (round * 0.04) + (place * 0.01)));
            }

            await Task.WhenAll(claims.Select(entry => Task.Run(() => worker.Writer.CompleteMilestoneAsync(
                entry.Claim, 0, [], Milestone(entry.Claim, 100, entry.Accuracy), Rows.Hash($"{entry.Accuracy}"), CancellationToken.None))));

            await using var db = _jobs.Database.NewContext();
            var best = await db.Experiments.SingleAsync(experiment => db.DataSetVersions.Any(version => version.BestExperimentId == experiment.Id));
            Assert.That(best.Accuracy, Is.EqualTo(await db.Experiments.MaxAsync(experiment => experiment.Accuracy)), $"round {round}");
        }
    }

    [Test]
    public async Task Best_WhileSomebodyGeneratesForTheSameImages_DoesNotWaitForThem()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await using var other = _jobs.Database.NewContext();
        await using var transaction = await other.Database.BeginTransactionAsync();
        // As every row does that refers to it.
        await other.Database.ExecuteSqlAsync($"SELECT FROM data_set_versions WHERE id = {_jobs.Rows.Version.Id} FOR KEY SHARE");

        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None)
            .WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Test]
    public async Task Lose_WithWordsThatPostgreSqlCannotHold_StoresTheRest()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();

        await worker.Writer.LoseAsync(claim, AttemptOutcome.Crashed, 5, "core\0dumped " + new string('x', 100_000), CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        Assert.That((await db.Attempts.SingleAsync()).Error, Does.StartWith("core dumped").And.Length.LessThan(5_000));
    }

    [Test]
    public async Task Renew_StoresProgressAndCurves_AndTheSamePointsAgain()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        MetricsEvent[] points =
        [
            new(claim.TrajectoryId, 50, new Dictionary<string, double> { ["loss"] = double.NaN, ["validationAccuracy"] = 0.5 }),
            new(claim.TrajectoryId, 100, new Dictionary<string, double> { ["loss"] = 0.25, ["validationAccuracy"] = 0.75 }),
        ];

        await worker.Writer.RenewAsync(claim, new ProgressEvent(claim.TrajectoryId, 70, 1.5, 0.3, 90, 2), points, CancellationToken.None);
        await worker.Writer.RenewAsync(claim, null, points, CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var stored = await db.Trajectories.SingleAsync(row => row.Id == trajectory.Id);
        Assert.Multiple(() =>
        {
            Assert.That((stored.Step, stored.Epoch, stored.Loss, stored.StepsPerSecond), Is.EqualTo((100, 1.5, 0.3, 90d)), "a point that is newer than the progress counts");
            Assert.That(db.MetricPoints.Count(), Is.EqualTo(4));
        });
    }

    [Test]
    public async Task AddCheckpoint_KeepsTheNewestTwo()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();

        List<string> unused = [];
        foreach (var step in new[] { 10, 20, 30, 30 })
            unused.AddRange(await worker.Writer.AddCheckpointAsync(claim, NewCheckpoint(claim, step), CancellationToken.None));

        await using var db = _jobs.Database.NewContext();
        Assert.Multiple(() =>
        {
            Assert.That(db.Checkpoints.Select(checkpoint => checkpoint.Step).Order(), Is.EqualTo(new[] { 20, 30 }));
            Assert.That(unused, Is.EqualTo(new[] { Rows.Hash("checkpoint 10") }));
        });
    }

    [Test]
    public async Task Release_WithMilestonesLeft_QueuesThemAgainWithATicket()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("a"), CancellationToken.None);

        await worker.Writer.ReleaseAsync(claim, AttemptOutcome.Drained, 150, CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var stored = await db.Trajectories.Include(row => row.Experiments).SingleAsync(row => row.Id == trajectory.Id);
        var attempt = await db.Attempts.SingleAsync();
        Assert.Multiple(() =>
        {
            Assert.That(stored.Status, Is.EqualTo(TrajectoryStatus.Waiting));
            Assert.That(stored.LeaseUntil, Is.Null);
            Assert.That(
                stored.Experiments.OrderBy(experiment => experiment.TotalSteps).Select(experiment => experiment.Status),
                Is.EqualTo(new[] { ExperimentStatus.Completed, ExperimentStatus.Queued }));
            Assert.That((attempt.Outcome, attempt.ToStep), Is.EqualTo((AttemptOutcome.Drained, 150)));
            Assert.That(_jobs.Queue.CountWaitingAsync(CancellationToken.None).Result, Is.EqualTo(1));
        });
    }

    [Test]
    public async Task Milestone_OfAnExperimentThatIsToChange_IsNotItsResult_AndItGoesOnFromTheCheckpointBefore()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await worker.Writer.StartedAsync(claim, 0, CancellationToken.None);
        await worker.Writer.AddCheckpointAsync(claim, NewCheckpoint(claim, 60), CancellationToken.None);
        await using var db = _jobs.Database.NewContext();
        await db.Database.ExecuteSqlAsync($$"""UPDATE experiments SET adjustment = '{"learningRate": 0.5, "steps": 200}' WHERE trajectory_id = {{trajectory.Id}}""");

        // The measurement was under way when it was asked for.
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("w"), CancellationToken.None);
        await worker.Writer.AddCheckpointAsync(claim, NewCheckpoint(claim, 100), CancellationToken.None);
        await worker.Writer.ReleaseAsync(claim, AttemptOutcome.Completed, 100, CancellationToken.None);

        var experiment = await db.Experiments.AsNoTracking().Include(row => row.Trajectory).SingleAsync();
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Queued));
            Assert.That(experiment.Accuracy, Is.Null);
            Assert.That(experiment.TotalSteps, Is.EqualTo(200));
            Assert.That(experiment.Adjustment, Is.Null);
            Assert.That(experiment.Trajectory!.ForkedAtStep, Is.EqualTo(100));
            Assert.That(experiment.Trajectory!.Status, Is.EqualTo(TrajectoryStatus.Waiting));
        });
    }

    [Test]
    public async Task Release_AfterTheLastMilestone_LeavesItIdleUnlessMoreWasQueuedMeanwhile()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], Milestone(claim, 100, 0.9), Rows.Hash("a"), CancellationToken.None);
        await _jobs.Rows.AddExperimentAsync(trajectory, JobsFixture.Parameters, 300);

        await worker.Writer.ReleaseAsync(claim, AttemptOutcome.Completed, 100, CancellationToken.None);
        var next = await worker.ClaimAsync();
        await worker.Writer.CompleteMilestoneAsync(next, 100, [], Milestone(next, 300, 0.9) with { TrainSeconds = 9 }, Rows.Hash("b"), CancellationToken.None);
        await worker.Writer.ReleaseAsync(next, AttemptOutcome.Completed, 300, CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        var stored = await db.Trajectories.SingleAsync(row => row.Id == trajectory.Id);
        Assert.Multiple(() =>
        {
            Assert.That(next.Milestones, Is.EqualTo(new[] { 300 }));
            Assert.That(stored.Status, Is.EqualTo(TrajectoryStatus.Idle));
            Assert.That(db.Experiments.Single(experiment => experiment.TotalSteps == 300).SavedSeconds, Is.EqualTo(1));
        });
    }

    [Test]
    public async Task CompleteMilestone_AfterOneThatEndedEarlyAtTheSameStep_SavedAll()
    {
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [2000]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        var ended = Milestone(claim, 2000, 0.9) with { TrainSeconds = 12, StoppedEarly = true, EndedAtStep = 1200 };
        await worker.Writer.CompleteMilestoneAsync(claim, 0, [], ended, Rows.Hash("a"), CancellationToken.None);
        await _jobs.Rows.AddExperimentAsync(trajectory, JobsFixture.Parameters, 3000);
        await worker.Writer.ReleaseAsync(claim, AttemptOutcome.Completed, 1200, CancellationToken.None);

        var next = await worker.ClaimAsync();
        await worker.Writer.CompleteMilestoneAsync(next, 1200, [], ended with { Step = 3000 }, Rows.Hash("a"), CancellationToken.None);

        await using var db = _jobs.Database.NewContext();
        Assert.That(db.Experiments.OrderBy(experiment => experiment.TotalSteps).Select(experiment => experiment.SavedSeconds), Is.EqualTo(new[] { 0.0, 12 }));
    }

    [Test]
    public async Task Lose_ThreeTimesInARow_FailsWithTheReason()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200]);
        var worker = _jobs.NewWorker();
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var claim = await worker.ClaimAsync();
            await worker.Writer.LoseAsync(claim, AttemptOutcome.Crashed, attempt, $"crash {attempt}", CancellationToken.None);
        }

        await using var db = _jobs.Database.NewContext();
        var experiments = await db.Experiments.ToListAsync();
        Assert.Multiple(() =>
        {
            Assert.That(experiments.Select(experiment => experiment.Status), Is.All.EqualTo(ExperimentStatus.Failed));
            Assert.That(experiments.Select(experiment => experiment.Error), Is.All.Contains("crash 3").And.All.Contains("3 lost attempts"));
            Assert.That(db.Trajectories.Single().Status, Is.EqualTo(TrajectoryStatus.Idle));
            Assert.That(db.Attempts.Count(attempt => attempt.Outcome == AttemptOutcome.Crashed), Is.EqualTo(3));
        });
    }

    [Test]
    public async Task Lose_AfterProgress_CountsFromTheStart()
    {
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        for (var attempt = 1; attempt <= 6; attempt++)
        {
            var claim = await worker.ClaimAsync();
            if (attempt % 2 == 0)
                await worker.Writer.AddCheckpointAsync(claim, NewCheckpoint(claim, attempt), CancellationToken.None);
            await worker.Writer.LoseAsync(claim, AttemptOutcome.Crashed, attempt, "crash", CancellationToken.None);
        }

        await using var db = _jobs.Database.NewContext();
        Assert.That(db.Experiments.Single().Status, Is.EqualTo(ExperimentStatus.Queued));
    }

    internal static MilestoneEvent Milestone(Claim claim, int step, double accuracy) =>
        new(claim.TrajectoryId, step, accuracy, 0.5, 0.05, null, false, "weights", Rows.Hash($"{step} {accuracy}"), step / 100.0, true) { Classes = ClassesTests.Measured(right: 7) };

    private static Checkpoint NewCheckpoint(Claim claim, int step) => new()
    {
        TrajectoryId = claim.TrajectoryId,
        Step = step,
        BlobHash = Rows.Hash($"checkpoint {step}"),
        Length = 10,
        TrainSeconds = 1,
        Engine = "TorchSharp",
        EngineVersion = "0.107.0 on libtorch 2.10.0",
        Device = "cpu",
        CreatedAt = TimeProvider.System.GetUtcNow(),
    };

    private async Task<string> SnapshotAsync()
    {
        await using var db = _jobs.Database.NewContext();
        return await db.Database.SqlQuery<string>(
            $"""
            SELECT concat_ws('|', (SELECT string_agg(e::text, ';' ORDER BY e.id) FROM experiments e), (SELECT string_agg((t.id, t.fence, t.status, t.step, t.worker_id)::text, ';') FROM trajectories t),
                (SELECT string_agg(a::text, ';' ORDER BY a.id) FROM attempts a), (SELECT count(*) FROM checkpoints), (SELECT count(*) FROM metric_points),
                (SELECT string_agg(c::text, ';' ORDER BY c.experiment_id) FROM experiment_classes c),
                (SELECT string_agg(best_experiment_id::text, ';') FROM data_set_versions)) AS "Value"
            """).SingleAsync();
    }
}
