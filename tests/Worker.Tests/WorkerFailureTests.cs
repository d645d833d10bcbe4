using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Worker.Tests;

/// <summary>What becomes of trainings whose worker, trainer or files fail.</summary>
public sealed class WorkerFailureTests : WorkerProcessFixture
{
    private static readonly AttemptOutcome?[] LostThenCompleted = [AttemptOutcome.Lost, AttemptOutcome.Completed];

    private static readonly TestCaseData[] Networks =
    [
        new TestCaseData(WorkerStack.Small, ManySteps).SetArgDisplayNames("small"),
        // Computed by other kernels than a small one.
        new TestCaseData(WorkerStack.Default, 200).SetArgDisplayNames("the default"),
    ];

    [TestCaseSource(nameof(Networks))]
    public async Task KilledWorker_AnotherGoesOnFromItsCheckpoint_WithTheSameResult(TrajectoryParameters parameters, int steps)
    {
        var undisturbed = await Stack.Rows.AddTrajectoryAsync(parameters, [steps]);
        var first = Stack.StartWorker("first", FrequentCheckpoints);
        var expected = await Stack.WhenFinalAsync(undisturbed.Id, steps);
        var trajectory = await Stack.Rows.AddTrajectoryAsync(parameters, [steps]);
        await CheckpointOfAsync(trajectory.Id);
        var trainers = Processes.ChildrenOf(first.Id);

        await first.KillAsync();
        Stack.StartWorker("second", FrequentCheckpoints);
        var experiment = await Stack.WhenFinalAsync(trajectory.Id, steps);

        var attempts = await Stack.AttemptsAsync(trajectory.Id);
        Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(LostThenCompleted), experiment.Error);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(experiment.Accuracy, Is.EqualTo(expected.Accuracy));
            Assert.That(attempts[1].WorkerName, Is.EqualTo("second"));
            Assert.That(attempts[1].FromStep, Is.GreaterThan(0));
            Assert.That(trainers, Is.Not.Empty);
        });
        await Eventually.IsTrueAsync("the killed worker's trainers to end", WorkerStack.Patience, () => Task.FromResult(trainers.All(Processes.HasEnded)));
    }

    [Test]
    public async Task CheckpointsThatAreTornOrGone_ArePassedOver_WithTheSameResult()
    {
        // Enough to be still at it when it is killed.
        const int steps = 3 * ManySteps;
        var undisturbed = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [steps]);
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [steps]);
        var first = Stack.StartWorker("first", FrequentCheckpoints);
        var expected = await Stack.WhenFinalAsync(undisturbed.Id, steps);
        var checkpoints = await Stack.WhenAsync(
            "two checkpoints",
            db => db.Checkpoints.AsNoTracking().Where(checkpoint => checkpoint.TrajectoryId == trajectory.Id).OrderByDescending(checkpoint => checkpoint.Step).ToListAsync(),
            rows => rows.Count == 2);
        await first.KillAsync();
        await using (var db = Stack.Database.NewContext())
            checkpoints = await db.Checkpoints.AsNoTracking().Where(checkpoint => checkpoint.TrajectoryId == trajectory.Id).OrderByDescending(checkpoint => checkpoint.Step).ToListAsync();
        File.Delete(Stack.BlobPath(checkpoints[0].BlobHash));
        using (var torn = File.OpenWrite(Stack.BlobPath(checkpoints[1].BlobHash)))
            torn.SetLength(torn.Length / 2);

        Stack.StartWorker("second");
        var experiment = await Stack.WhenFinalAsync(trajectory.Id, steps);

        var attempts = await Stack.AttemptsAsync(trajectory.Id);
        Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(LostThenCompleted), experiment.Error);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(attempts[^1].FromStep, Is.Zero);
        });
    }

    [Test]
    public async Task PackedDataSetThatIsGone_IsMadeAgain()
    {
        var first = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        Stack.StartWorker("anna");
        var before = await Stack.WhenFinalAsync(first.Id, 20);
        string packed;
        await using (var db = Stack.Database.NewContext())
            packed = (await db.DataSetVersions.Select(version => version.PackedBlob).SingleAsync())!;
        File.Delete(Stack.BlobPath(packed));

        var second = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var after = await Stack.WhenFinalAsync(second.Id, 20);

        Assert.Multiple(() =>
        {
            Assert.That(after.WeightsHash, Is.EqualTo(before.WeightsHash).And.Not.Null);
            Assert.That(File.Exists(Stack.BlobPath(packed)), Is.True);
        });
    }

    [Test]
    public async Task PackingThatAnotherWorkerNeverEnds_IsDoneHereToo()
    {
        await using var hanging = await Stack.Database.DataSource.OpenConnectionAsync();
        await using (var command = new NpgsqlCommand("SELECT pg_advisory_lock(hashtextextended($1, 0))", hanging))
        {
            command.Parameters.AddWithValue($"pack {Stack.Rows.Version.Id}");
            await command.ExecuteNonQueryAsync();
        }

        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var worker = Stack.StartWorker("anna", ("PackWait", "00:00:01"));

        Assert.That((await Stack.WhenFinalAsync(trajectory.Id, 20)).Status, Is.EqualTo(ExperimentStatus.Completed));
        Assert.That(worker.Output, Does.Contain("packs them too"));
    }

    [Test]
    public async Task BlobsThatCanNotBeWritten_FailTheExperimentsWithTheReason()
    {
        var first = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        Stack.StartWorker("anna", ("StoreWithin", "00:00:01"));
        await Stack.WhenFinalAsync(first.Id, 20);
        // A link to itself: an error that may pass, for those who don't know better.
        var temporary = Path.Combine(Stack.BlobFolder, "tmp");
        Directory.Delete(temporary, recursive: true);
        Directory.CreateSymbolicLink(temporary, temporary);

        var second = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);

        var experiment = await Stack.WhenFinalAsync(second.Id, 20);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.Error, Does.Contain("3 lost attempts").And.Contain("symbolic links"));
            Assert.That(Stack.AttemptsAsync(second.Id).Result.Select(attempt => attempt.Outcome), Is.All.EqualTo(AttemptOutcome.Failed));
        });
    }

    [Test]
    public async Task KilledTrainer_CostsItsTrajectoryAnAttempt_AndTheNeighbourNothing()
    {
        // Long enough for both to train when one is killed, on a busy machine too.
        const int steps = 4 * ManySteps;
        var worker = Stack.StartWorker("anna", ("Slots", "2"), FrequentCheckpoints);
        var one = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [steps]);
        var two = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [steps]);
        await CheckpointOfAsync(one.Id);
        await CheckpointOfAsync(two.Id);

        using (var trainer = Process.GetProcessById(Processes.ChildrenOf(worker.Id)[0]))
            trainer.Kill();
        var first = await Stack.WhenFinalAsync(one.Id, steps);
        var second = await Stack.WhenFinalAsync(two.Id, steps);

        var outcomes = (await Stack.AttemptsAsync(one.Id)).Concat(await Stack.AttemptsAsync(two.Id)).Select(attempt => attempt.Outcome).ToList();
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
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        Stack.StartWorker("anna", [.. WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; {script}"), ("TrainerSilence", "00:00:01")]);

        var experiment = await Stack.WhenFinalAsync(trajectory.Id, 10);

        Assert.Multiple(() =>
        {
            Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Failed));
            Assert.That(experiment.Error, Does.Contain(reason).And.Contain(log).And.Contain("3 lost attempts"));
            Assert.That(Stack.AttemptsAsync(trajectory.Id).Result, Has.Count.EqualTo(3));
        });
    }

    [Test]
    public async Task TrainerThatTakesNoCommand_FailsItsExperimentsWithTheReason()
    {
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        // More milestones than a pipe holds.
        await using (var db = Stack.Database.NewContext())
            await db.Database.ExecuteSqlAsync(
                $"""
                INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps, priority, diverged, reproducible, created_at)
                SELECT gen_random_uuid(), model_id, study_id, trajectory_id, 1000 + n, name, status, parameters, lpad(n::text, 64, '0'), 1000000 + n, 0, false, false, now()
                FROM experiments, generate_series(1, 10000) AS n WHERE trajectory_id = {trajectory.Id}
                """);
        Stack.StartWorker("anna", [.. WorkerStack.ShellTrainer($"{WorkerStack.SayReady}; sleep 1000"), ("TrainerSilence", "00:00:01"), ("MaxLostAttempts", "1")]);

        Assert.That((await Stack.WhenFinalAsync(trajectory.Id, 10)).Error, Does.Contain("had not taken its command"));
    }

    [Test]
    public async Task WorkerWhoseTrainersCannotStart_RefusesToStart_AndSpoilsNoAttempt()
    {
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [10]);
        var worker = Stack.StartWorker("anna", WorkerStack.ShellTrainer("echo no such library >&2; exit 7"));

        Assert.That(await worker.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(1));
        Assert.Multiple(() =>
        {
            Assert.That(worker.Output, Does.Contain("error: The trainer exited with code 7: no such library"));
            Assert.That(Stack.AttemptsAsync(trajectory.Id).Result, Is.Empty);
        });
    }

    [Test]
    public async Task WorkerOnAGpu_WhereThereIsNone_RefusesToStart()
    {
        if (File.Exists("/dev/nvidiactl"))
            Assert.Ignore("This machine has a GPU, which this build may be able to use.");
        var worker = Stack.StartWorker("anna", ("Device", "cuda"));
        Assert.That(await worker.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(1));
        Assert.That(worker.Output, Does.Contain("cuda").And.Contain("TorchDevice=cuda"));
    }
}
