using System.Text.Json;
using MlExperiments.Shared.Contracts;
using System.Diagnostics;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace MlExperiments.Worker.Tests;

/// <summary>Real worker processes with real trainers: sharing, draining, dying and going on.</summary>
[TestFixture]
public sealed class WorkerProcessTests
{
    private const int Long = 1500;
    private static readonly (string, string) FrequentCheckpoints = ("CheckpointEvery", "00:00:00.3");

    private WorkerStack _stack = null!;

    [SetUp]
    public async Task SetUp() => _stack = await WorkerStack.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task Worker_WithoutAFolderOfItsOwn_LeavesNone_AndDeletesWhatTheKilledLeft()
    {
        // No process has this number.
        var abandoned = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "mlexperiments-worker-99999999", "slot-1"));
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var worker = _stack.StartWorker("anna", ("Folder", ""));
        await _stack.WhenFinalAsync(trajectory.Id, 20);
        var own = Path.Combine(Path.GetTempPath(), $"mlexperiments-worker-{worker.Id}");

        Assert.That(Directory.Exists(own), Is.True);
        Assert.That(await worker.StopAsync(TimeSpan.FromSeconds(30)), Is.Zero);
        Assert.Multiple(() =>
        {
            Assert.That(Directory.Exists(own), Is.False);
            Assert.That(abandoned.Parent!.Exists, Is.False);
        });
    }

    [Test]
    public async Task Milestones_OfOneTrajectory_EqualSeparateRuns()
    {
        int[] steps = [30, 60, 120];
        var shared = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, steps);
        List<Trajectory> separate = [];
        foreach (var step in steps)
            separate.Add(await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [step]));
        _stack.StartWorker("anna", ("Slots", "2"));

        for (var place = 0; place < steps.Length; place++)
        {
            var milestone = await _stack.WhenFinalAsync(shared.Id, steps[place]);
            var run = await _stack.WhenFinalAsync(separate[place].Id, steps[place]);
            Assert.Multiple(() =>
            {
                Assert.That(milestone.Status, Is.EqualTo(ExperimentStatus.Completed), milestone.Error);
                Assert.That(milestone.WeightsHash, Is.EqualTo(run.WeightsHash));
                Assert.That(milestone.Accuracy, Is.EqualTo(run.Accuracy));
                Assert.That(milestone.Loss, Is.EqualTo(run.Loss));
                Assert.That(milestone.Reproducible, Is.True);
            });
        }

        var attempts = await _stack.AttemptsAsync(shared.Id);
        Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));
    }

    [Test]
    public async Task Milestone_OfARealTraining_HasItsClasses_AndTheImagesItTookForOthers()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [5]);
        _stack.StartWorker("anna");
        var experiment = await _stack.WhenFinalAsync(trajectory.Id, 5);

        await using var db = _stack.Database.NewContext();
        var stored = await db.ExperimentClasses.SingleAsync(classes => classes.ExperimentId == experiment.Id);
        var measured = stored.Validation.Deserialize<ClassMeasurement>(ContractJson.Options)!;
        var manifest = DataSetManifest.Open(_stack.BlobPath(_stack.Rows.Version.ManifestBlob));
        Assert.Multiple(() =>
        {
            Assert.That(measured.Images.Sum(), Is.EqualTo(manifest.ValidationCount));
            Assert.That((double)measured.Right.Sum() / manifest.ValidationCount, Is.EqualTo(experiment.Accuracy));
            Assert.That(stored.Test, Is.Null);
            Assert.That(measured.Worst, Is.Not.Empty);
            foreach (var image in measured.Worst)
            {
                Assert.That(manifest.Split(image.Row), Is.EqualTo(ImageSplit.Validation));
                Assert.That(image.Label, Is.EqualTo(manifest.Label(image.Row)));
                Assert.That(image.Sha256, Is.EqualTo(Convert.ToHexStringLower(manifest.Sha256(image.Row))));
            }
        });
    }

    [Test]
    public async Task AddedMilestone_GoesOnFromTheStoredCheckpoint_AndEqualsARunOfItsOwn()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [60]);
        var whole = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [150]);
        _stack.StartWorker("anna");
        await _stack.WhenFinalAsync(trajectory.Id, 60);
        await _stack.Rows.AddExperimentAsync(trajectory, WorkerStack.Small, 150);

        var added = await _stack.WhenFinalAsync(trajectory.Id, 150);
        var run = await _stack.WhenFinalAsync(whole.Id, 150);

        Assert.Multiple(() =>
        {
            Assert.That(added.WeightsHash, Is.EqualTo(run.WeightsHash));
            Assert.That(_stack.AttemptsAsync(trajectory.Id).Result[^1].FromStep, Is.EqualTo(60));
            Assert.That(added.SavedSeconds, Is.GreaterThan(0));
        });
    }

    [Test]
    public async Task KilledWorker_AnotherGoesOnFromItsCheckpoint_WithTheSameResult()
    {
        var undisturbed = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var first = _stack.StartWorker("first", FrequentCheckpoints);
        var expected = await _stack.WhenFinalAsync(undisturbed.Id, Long);
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        await CheckpointOfAsync(trajectory.Id);
        var trainers = Processes.ChildrenOf(first.Id);

        await first.KillAsync();
        _stack.StartWorker("second", FrequentCheckpoints);
        var experiment = await _stack.WhenFinalAsync(trajectory.Id, Long);

        var attempts = await _stack.AttemptsAsync(trajectory.Id);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(experiment.Accuracy, Is.EqualTo(expected.Accuracy));
            Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Lost, AttemptOutcome.Completed }));
            Assert.That(attempts[1].WorkerName, Is.EqualTo("second"));
            Assert.That(attempts[1].FromStep, Is.GreaterThan(0));
            Assert.That(trainers, Is.Not.Empty);
        });
        await Eventually.IsTrueAsync("the killed worker's trainers to end", WorkerStack.Patience, () => Task.FromResult(trainers.All(Processes.HasEnded)));
    }

    [Test]
    public async Task TerminatedWorker_DrainsWithACheckpoint_AndAnotherGoesOn()
    {
        var undisturbed = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var first = _stack.StartWorker("first");
        var expected = await _stack.WhenFinalAsync(undisturbed.Id, Long);
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        await _stack.WhenAsync(
            "its first steps",
            db => db.MetricPoints.CountAsync(point => point.TrajectoryId == trajectory.Id),
            points => points > 0);

        var clock = Stopwatch.StartNew();
        var exitCode = await first.StopAsync(TimeSpan.FromSeconds(30));
        var drained = clock.Elapsed;

        var drain = (await _stack.AttemptsAsync(trajectory.Id)).Single();
        await using (var db = _stack.Database.NewContext())
        {
            Assert.Multiple(() =>
            {
                Assert.That(exitCode, Is.Zero);
                Assert.That(drain.Outcome, Is.EqualTo(AttemptOutcome.Drained));
                Assert.That(drain.ToStep, Is.GreaterThan(0).And.LessThan(Long));
                Assert.That(db.Trajectories.Single(row => row.Id == trajectory.Id).Status, Is.EqualTo(TrajectoryStatus.Waiting));
                Assert.That(db.Experiments.Single(row => row.TrajectoryId == trajectory.Id).Status, Is.EqualTo(ExperimentStatus.Queued));
                Assert.That(db.Workers.Single(worker => worker.Name == "first").StoppedAt, Is.Not.Null);
            });
        }

        _stack.StartWorker("second");
        var experiment = await _stack.WhenFinalAsync(trajectory.Id, Long);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(_stack.AttemptsAsync(trajectory.Id).Result[^1].FromStep, Is.EqualTo(drain.ToStep));
        });
        await TestContext.Out.WriteLineAsync($"Drained in {drained.TotalSeconds:0.00} s");
    }

    [Test]
    public async Task TerminatedWorker_AtAnyMoment_LosesNoAttempt()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var moments = new[] { 0, 200, 500, 900 };
        foreach (var moment in moments)
        {
            var worker = _stack.StartWorker($"after-{moment}");
            await _stack.WhenAsync(
                "a claim",
                db => db.Attempts.CountAsync(attempt => attempt.TrajectoryId == trajectory.Id && attempt.Outcome == null),
                running => running > 0);
            using (var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1 + moment)))
                await timer.WaitForNextTickAsync();
            Assert.That(await worker.StopAsync(TimeSpan.FromSeconds(30)), Is.Zero);
        }

        var attempts = await _stack.AttemptsAsync(trajectory.Id);
        Assert.That(
            attempts.Select(attempt => attempt.Outcome),
            Is.All.EqualTo(AttemptOutcome.Drained).Or.EqualTo(AttemptOutcome.Completed),
            string.Join(Environment.NewLine, attempts.Select(attempt => attempt.Error)));
    }

    [Test]
    public async Task CheckpointsThatAreTornOrGone_ArePassedOver_WithTheSameResult()
    {
        var undisturbed = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var first = _stack.StartWorker("first", FrequentCheckpoints);
        var expected = await _stack.WhenFinalAsync(undisturbed.Id, Long);
        var checkpoints = await _stack.WhenAsync(
            "two checkpoints",
            db => db.Checkpoints.AsNoTracking().Where(checkpoint => checkpoint.TrajectoryId == trajectory.Id).OrderByDescending(checkpoint => checkpoint.Step).ToListAsync(),
            rows => rows.Count == 2);
        await first.KillAsync();
        await using (var db = _stack.Database.NewContext())
            checkpoints = await db.Checkpoints.AsNoTracking().Where(checkpoint => checkpoint.TrajectoryId == trajectory.Id).OrderByDescending(checkpoint => checkpoint.Step).ToListAsync();
        File.Delete(_stack.BlobPath(checkpoints[0].BlobHash));
        using (var torn = File.OpenWrite(_stack.BlobPath(checkpoints[1].BlobHash)))
            torn.SetLength(torn.Length / 2);

        _stack.StartWorker("second");
        var experiment = await _stack.WhenFinalAsync(trajectory.Id, Long);

        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(_stack.AttemptsAsync(trajectory.Id).Result[^1].FromStep, Is.Zero);
        });
    }

    [Test]
    public async Task PackedDataSetThatIsGone_IsMadeAgain()
    {
        var first = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        _stack.StartWorker("anna");
        var before = await _stack.WhenFinalAsync(first.Id, 20);
        string packed;
        await using (var db = _stack.Database.NewContext())
            packed = (await db.DataSetVersions.Select(version => version.PackedBlob).SingleAsync())!;
        File.Delete(_stack.BlobPath(packed));

        var second = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var after = await _stack.WhenFinalAsync(second.Id, 20);

        Assert.Multiple(() =>
        {
            Assert.That(after.WeightsHash, Is.EqualTo(before.WeightsHash).And.Not.Null);
            Assert.That(File.Exists(_stack.BlobPath(packed)), Is.True);
        });
    }

    [Test]
    public async Task PackingThatAnotherWorkerNeverEnds_IsDoneHereToo()
    {
        await using var hanging = await _stack.Database.DataSource.OpenConnectionAsync();
        await using (var command = new NpgsqlCommand("SELECT pg_advisory_lock(hashtextextended($1, 0))", hanging))
        {
            command.Parameters.AddWithValue($"pack {_stack.Rows.Version.Id}");
            await command.ExecuteNonQueryAsync();
        }

        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var worker = _stack.StartWorker("anna", ("PackWait", "00:00:01"));

        Assert.That((await _stack.WhenFinalAsync(trajectory.Id, 20)).Status, Is.EqualTo(ExperimentStatus.Completed));
        Assert.That(worker.Output, Does.Contain("packs them too"));
    }

    [Test]
    public async Task BlobsThatCanNotBeWritten_FailTheExperimentsWithTheReason()
    {
        var first = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        _stack.StartWorker("anna", ("StoreWithin", "00:00:01"));
        await _stack.WhenFinalAsync(first.Id, 20);
        // A link to itself: an error that may pass, for those who don't know better.
        var temporary = Path.Combine(_stack.BlobFolder, "tmp");
        Directory.Delete(temporary, recursive: true);
        Directory.CreateSymbolicLink(temporary, temporary);

        var second = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);

        var experiment = await _stack.WhenFinalAsync(second.Id, 20);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Error, Does.Contain("3 lost attempts").And.Contain("symbolic links"));
            Assert.That(_stack.AttemptsAsync(second.Id).Result.Select(attempt => attempt.Outcome), Is.All.EqualTo(AttemptOutcome.Failed));
        });
    }

    [Test]
    public async Task KilledTrainer_CostsItsTrajectoryAnAttempt_AndTheNeighbourNothing()
    {
        var worker = _stack.StartWorker("anna", ("Slots", "2"), FrequentCheckpoints);
        var one = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        var two = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [Long]);
        await CheckpointOfAsync(one.Id);
        await CheckpointOfAsync(two.Id);

        using (var trainer = Process.GetProcessById(Processes.ChildrenOf(worker.Id)[0]))
            trainer.Kill();
        var first = await _stack.WhenFinalAsync(one.Id, Long);
        var second = await _stack.WhenFinalAsync(two.Id, Long);

        var outcomes = (await _stack.AttemptsAsync(one.Id)).Concat(await _stack.AttemptsAsync(two.Id)).Select(attempt => attempt.Outcome).ToList();
        Assert.Multiple(() =>
        {
            Assert.That(first.WeightsHash, Is.EqualTo(second.WeightsHash).And.Not.Null);
            Assert.That(outcomes.Count(outcome => outcome == AttemptOutcome.Crashed), Is.EqualTo(1));
            Assert.That(outcomes.Count(outcome => outcome == AttemptOutcome.Completed), Is.EqualTo(2));
        });
    }

    [TestCase("read command; echo out of luck >&2; exit 7", "code 7", "out of luck")]
    [TestCase("read command; kill -SEGV $$", "signal 11", "")]
    [TestCase("cat > /dev/null", "said nothing", "")]
    public async Task TrainerThatCannotTrain_FailsItsExperimentsWithTheReason(string script, string reason, string log)
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        _stack.StartWorker("anna", [.. WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; {script}"), ("TrainerSilence", "00:00:01")]);

        var experiment = await _stack.WhenFinalAsync(trajectory.Id, 10);

        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Failed));
            Assert.That(experiment.Error, Does.Contain(reason).And.Contain(log).And.Contain("3 lost attempts"));
            Assert.That(_stack.AttemptsAsync(trajectory.Id).Result, Has.Count.EqualTo(3));
        });
    }

    [Test]
    public async Task TrainerThatTakesNoCommand_FailsItsExperimentsWithTheReason()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        // More milestones than a pipe holds.
        await using (var db = _stack.Database.NewContext())
            await db.Database.ExecuteSqlAsync(
                $"""
                INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps, priority, diverged, reproducible, created_at)
                SELECT gen_random_uuid(), model_id, study_id, trajectory_id, 1000 + n, name, status, parameters, lpad(n::text, 64, '0'), 1000000 + n, 0, false, false, now()
                FROM experiments, generate_series(1, 10000) AS n WHERE trajectory_id = {trajectory.Id}
                """);
        _stack.StartWorker("anna", [.. WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; sleep 1000"), ("TrainerSilence", "00:00:01"), ("MaxLostAttempts", "1")]);

        Assert.That((await _stack.WhenFinalAsync(trajectory.Id, 10)).Error, Does.Contain("had not taken its command"));
    }

    [Test]
    public async Task WorkerWhoseTrainersCannotStart_RefusesToStart_AndSpoilsNoAttempt()
    {
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        var worker = _stack.StartWorker("anna", WorkerStack.ShellTrainer("echo no such library >&2; exit 7"));

        Assert.That(await worker.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(1));
        Assert.Multiple(() =>
        {
            Assert.That(worker.Output, Does.Contain("can't start").And.Contain("no such library"));
            Assert.That(_stack.AttemptsAsync(trajectory.Id).Result, Is.Empty);
        });
    }

    [Test]
    public async Task WorkerOnAGpu_WhereThereIsNone_RefusesToStart()
    {
        if (File.Exists("/dev/nvidiactl"))
            Assert.Ignore("This machine has a GPU, which this build may be able to use.");
        var worker = _stack.StartWorker("anna", ("Device", "cuda"));
        Assert.That(await worker.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(1));
        Assert.That(worker.Output, Does.Contain("cuda").And.Contain("TorchDevice=cuda"));
    }

    [Test]
    public async Task Training_WhosePatienceRunsOut_CompletesAllThatIsLeft()
    {
        var worker = _stack.StartWorker("anna", ("EvaluateEvery", "10"));
        // A rate at which nothing gets better.
        var parameters = WorkerStack.Small with { LearningRate = 1e-7, Patience = 2, PatienceMetric = "accuracy" };
        var trajectory = await _stack.Rows.AddTrajectoryAsync(parameters, [10, 1_000_000]);
        var early = await _stack.WhenFinalAsync(trajectory.Id, 1_000_000);
        Assert.That((early.Status, early.StoppedEarly, early.Diverged), Is.EqualTo((ExperimentStatus.Completed, true, false)));
        Assert.That(early.EndedAtStep, Is.GreaterThanOrEqualTo(30).And.LessThan(1_000_000));

        var first = await _stack.WhenFinalAsync(trajectory.Id, 10);
        Assert.That((first.Status, first.StoppedEarly, first.EndedAtStep), Is.EqualTo((ExperimentStatus.Completed, false, (int?)null)));
        Assert.That(worker.HasExited, Is.False);
    }

    [Test]
    public async Task Training_InBfloat16_TakesItsPrecisionToTheTrainer()
    {
        _stack.StartWorker("anna");
        var trajectory = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small with { Layers = 2, Precision = "bfloat16" }, [20]);

        var experiment = await _stack.WhenFinalAsync(trajectory.Id, 20);

        Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
        using var weights = SafetensorsReader.Open(_stack.BlobPath(experiment.WeightsBlob!));
        Assert.That(
            JsonSerializer.Deserialize<TrajectoryParameters>(weights.RequiredMetadata("parameters"), ContractJson.Options)!.Precision, Is.EqualTo("bfloat16"));
    }

    [Test]
    public async Task DeletedModel_IsLeftByItsWorker_WhichGoesOnWithOthers()
    {
        var other = await TestModel.AddWithDigitsAsync(_stack.Database, _stack.BlobFolder, perClass: 5);
        var worker = _stack.StartWorker("anna");
        var doomed = await _stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [1_000_000]);
        await _stack.WhenAsync("its first steps", db => db.MetricPoints.CountAsync(point => point.TrajectoryId == doomed.Id), points => points > 0);

        await using (var db = _stack.Database.NewContext())
            await db.Models.Where(model => model.Id == _stack.Rows.Model.Id).ExecuteDeleteAsync();
        var next = await other.AddTrajectoryAsync(WorkerStack.Small, [20]);

        Assert.That((await _stack.WhenFinalAsync(next.Id, 20)).Status, Is.EqualTo(ExperimentStatus.Completed));
        Assert.That(worker.HasExited, Is.False);
    }

    private Task<int> CheckpointOfAsync(Guid trajectoryId) =>
        _stack.WhenAsync(
            "a checkpoint",
            db => db.Checkpoints.CountAsync(checkpoint => checkpoint.TrajectoryId == trajectoryId),
            checkpoints => checkpoints > 0);
}
