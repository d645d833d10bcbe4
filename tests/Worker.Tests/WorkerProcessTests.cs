using System.Diagnostics;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Worker.Tests;

/// <summary>What worker processes do as long as all goes well: training, sharing, draining.</summary>
public sealed class WorkerProcessTests : WorkerProcessFixture
{
    [Test]
    public async Task Worker_WithoutAFolderOfItsOwn_LeavesNone_AndDeletesWhatTheKilledLeft()
    {
        // No process has this number.
        var abandoned = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "mlexperiments-worker-99999999", "slot-1"));
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [20]);
        var worker = Stack.StartWorker("anna", ("Folder", ""));
        await Stack.WhenFinalAsync(trajectory.Id, 20);
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
        var shared = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, steps);
        List<Trajectory> separate = [];
        foreach (var step in steps)
            separate.Add(await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [step]));
        Stack.StartWorker("anna", ("Slots", "2"));

        for (var place = 0; place < steps.Length; place++)
        {
            var milestone = await Stack.WhenFinalAsync(shared.Id, steps[place]);
            var run = await Stack.WhenFinalAsync(separate[place].Id, steps[place]);
            Assert.Multiple(() =>
            {
                Assert.That(milestone.Status, Is.EqualTo(ExperimentStatus.Completed), milestone.Error);
                Assert.That(milestone.WeightsHash, Is.EqualTo(run.WeightsHash));
                Assert.That(milestone.Accuracy, Is.EqualTo(run.Accuracy));
                Assert.That(milestone.Loss, Is.EqualTo(run.Loss));
                Assert.That(milestone.Reproducible, Is.True);
            });
        }

        var attempts = await Stack.AttemptsAsync(shared.Id);
        Assert.That(attempts.Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));
    }

    [Test]
    public async Task Milestone_OfARealTraining_HasItsClasses_AndTheImagesItTookForOthers()
    {
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [5]);
        Stack.StartWorker("anna");
        var experiment = await Stack.WhenFinalAsync(trajectory.Id, 5);

        await using var db = Stack.Database.NewContext();
        var stored = await db.ExperimentClasses.SingleAsync(classes => classes.ExperimentId == experiment.Id);
        var measured = stored.Validation.Deserialize<ClassMeasurement>(ContractJson.Options)!;
        var manifest = DataSetManifest.Open(Stack.BlobPath(Stack.Rows.Version.ManifestBlob));
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
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [60]);
        var whole = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [150]);
        Stack.StartWorker("anna");
        await Stack.WhenFinalAsync(trajectory.Id, 60);
        await Stack.Rows.AddExperimentAsync(trajectory, WorkerStack.Small, 150);

        var added = await Stack.WhenFinalAsync(trajectory.Id, 150);
        var run = await Stack.WhenFinalAsync(whole.Id, 150);

        Assert.Multiple(() =>
        {
            Assert.That(added.WeightsHash, Is.EqualTo(run.WeightsHash));
            Assert.That(Stack.AttemptsAsync(trajectory.Id).Result[^1].FromStep, Is.EqualTo(60));
            Assert.That(added.SavedSeconds, Is.GreaterThan(0));
        });
    }

    [Test]
    public async Task TerminatedWorker_DrainsWithACheckpoint_AndAnotherGoesOn()
    {
        var undisturbed = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [ManySteps]);
        var first = Stack.StartWorker("first");
        var expected = await Stack.WhenFinalAsync(undisturbed.Id, ManySteps);
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [ManySteps]);
        await Stack.WhenAsync(
            "its first steps",
            db => db.MetricPoints.CountAsync(point => point.TrajectoryId == trajectory.Id),
            points => points > 0);

        var clock = Stopwatch.StartNew();
        var exitCode = await first.StopAsync(TimeSpan.FromSeconds(30));
        var drained = clock.Elapsed;

        var drain = (await Stack.AttemptsAsync(trajectory.Id)).Single();
        await using (var db = Stack.Database.NewContext())
        {
            Assert.Multiple(() =>
            {
                Assert.That(exitCode, Is.Zero);
                Assert.That(drain.Outcome, Is.EqualTo(AttemptOutcome.Drained));
                Assert.That(drain.ToStep, Is.GreaterThan(0).And.LessThan(ManySteps));
                Assert.That(db.Trajectories.Single(row => row.Id == trajectory.Id).Status, Is.EqualTo(TrajectoryStatus.Waiting));
                Assert.That(db.Experiments.Single(row => row.TrajectoryId == trajectory.Id).Status, Is.EqualTo(ExperimentStatus.Queued));
                Assert.That(db.Workers.Single(worker => worker.Name == "first").StoppedAt, Is.Not.Null);
            });
        }

        Stack.StartWorker("second");
        var experiment = await Stack.WhenFinalAsync(trajectory.Id, ManySteps);
        Assert.Multiple(() =>
        {
            Assert.That(experiment.WeightsHash, Is.EqualTo(expected.WeightsHash));
            Assert.That(Stack.AttemptsAsync(trajectory.Id).Result[^1].FromStep, Is.EqualTo(drain.ToStep));
        });
        await TestContext.Out.WriteLineAsync($"Drained in {drained.TotalSeconds:0.00} s");
    }

    [Test]
    public async Task TerminatedWorker_AtAnyMoment_LosesNoAttempt()
    {
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [ManySteps]);
        var moments = new[] { 0, 200, 500, 900 };
        foreach (var moment in moments)
        {
            var worker = Stack.StartWorker($"after-{moment}");
            await Stack.WhenAsync(
                "a claim",
                db => db.Attempts.CountAsync(attempt => attempt.TrajectoryId == trajectory.Id && attempt.Outcome == null),
                running => running > 0);
            using (var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1 + moment)))
                await timer.WaitForNextTickAsync();
            Assert.That(await worker.StopAsync(TimeSpan.FromSeconds(30)), Is.Zero);
        }

        var attempts = await Stack.AttemptsAsync(trajectory.Id);
        Assert.That(
            attempts.Select(attempt => attempt.Outcome),
            Is.All.EqualTo(AttemptOutcome.Drained).Or.EqualTo(AttemptOutcome.Completed),
            string.Join(Environment.NewLine, attempts.Select(attempt => attempt.Error)));
    }

    [Test]
    public async Task Training_WhosePatienceRunsOut_CompletesAllThatIsLeft()
    {
        var worker = Stack.StartWorker("anna", ("EvaluateEvery", "10"));
        // A rate at which nothing gets better.
        var parameters = WorkerStack.Small with { LearningRate = 1e-7, Patience = 2, PatienceMetric = "accuracy" };
        var trajectory = await Stack.Rows.AddTrajectoryAsync(parameters, [10, 1_000_000]);
        var early = await Stack.WhenFinalAsync(trajectory.Id, 1_000_000);
        Assert.That((early.Status, early.StoppedEarly, early.Diverged), Is.EqualTo((ExperimentStatus.Completed, true, false)));
        Assert.That(early.EndedAtStep, Is.GreaterThanOrEqualTo(30).And.LessThan(1_000_000));

        var first = await Stack.WhenFinalAsync(trajectory.Id, 10);
        Assert.That((first.Status, first.StoppedEarly, first.EndedAtStep), Is.EqualTo((ExperimentStatus.Completed, false, (int?)null)));
        Assert.That(worker.HasExited, Is.False);
    }

    [Test]
    public async Task Training_InBfloat16_TakesItsPrecisionToTheTrainer()
    {
        Stack.StartWorker("anna");
        var trajectory = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small with { Layers = 2, Precision = "bfloat16" }, [20]);

        var experiment = await Stack.WhenFinalAsync(trajectory.Id, 20);

        Assert.That(experiment.Status, Is.EqualTo(ExperimentStatus.Completed), experiment.Error);
        using var weights = SafetensorsReader.Open(Stack.BlobPath(experiment.WeightsBlob!));
        Assert.That(
            JsonSerializer.Deserialize<TrajectoryParameters>(weights.RequiredMetadata("parameters"), ContractJson.Options)!.Precision, Is.EqualTo("bfloat16"));
    }

    [Test]
    public async Task DeletedModel_IsLeftByItsWorker_WhichGoesOnWithOthers()
    {
        var other = await TestModel.AddWithDigitsAsync(Stack.Database, Stack.BlobFolder, perClass: 5);
        var worker = Stack.StartWorker("anna");
        var doomed = await Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [1_000_000]);
        await Stack.WhenAsync("its first steps", db => db.MetricPoints.CountAsync(point => point.TrajectoryId == doomed.Id), points => points > 0);

        await using (var db = Stack.Database.NewContext())
            await db.Models.Where(model => model.Id == Stack.Rows.Model.Id).ExecuteDeleteAsync();
        var next = await other.AddTrajectoryAsync(WorkerStack.Small, [20]);

        Assert.That((await Stack.WhenFinalAsync(next.Id, 20)).Status, Is.EqualTo(ExperimentStatus.Completed));
        Assert.That(worker.HasExited, Is.False);
    }
}
