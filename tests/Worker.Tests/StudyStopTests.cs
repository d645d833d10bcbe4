using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

/// <summary>Studies that stop when they have used up what they may take.</summary>
[TestFixture]
public sealed class StudyStopTests
{
    private JobsFixture _jobs = null!;

    [SetUp]
    public async Task SetUp() => _jobs = await JobsFixture.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _jobs.DisposeAsync();

    [Test]
    public async Task Failures_UpToTheLimit_StopTheStudy_AndNoOther()
    {
        var study = await AddStudyAsync(failures: 2);
        var failing = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], study: study);
        await FailAsync(failing.Id);
        var running = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100, 200], priority: 1, study: study);
        var paused = await _jobs.Rows.AddExperimentAsync(running, JobsFixture.Parameters, 300, ExperimentStatus.Paused, study);
        var other = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100]);
        var worker = _jobs.NewWorker();
        var claim = await worker.ClaimAsync();
        await worker.Writer.StartedAsync(claim, 0, CancellationToken.None);
        await StopStudiesAsync();
        Assert.That(await StatusesAsync(study), Is.EquivalentTo(new[] { ExperimentStatus.Failed, ExperimentStatus.Running, ExperimentStatus.Running, ExperimentStatus.Paused }), "one failure is not two");

        var second = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], study: study);
        await FailAsync(second.Id);
        await StopStudiesAsync();

        await using var db = _jobs.Database.NewContext();
        var stopped = await db.Studies.SingleAsync(row => row.Id == study.Id);
        var experiments = await db.Experiments.Where(row => row.TrajectoryId == running.Id).OrderBy(row => row.TotalSteps).ToListAsync();
        Assert.Multiple(async () =>
        {
            Assert.That(stopped.StoppedAt, Is.Not.Null);
            Assert.That(stopped.StopReason, Is.EqualTo("its limit of 2 failed experiments is reached"));
            Assert.That(experiments.Select(row => row.Status), Is.EqualTo(new[] { ExperimentStatus.Cancelled, ExperimentStatus.Cancelled, ExperimentStatus.Paused }));
            Assert.That(experiments[0].Error, Is.EqualTo("The study was stopped: its limit of 2 failed experiments is reached."));
            Assert.That(experiments[0].StoppedAtStep, Is.Zero);
            Assert.That(experiments[2].Id, Is.EqualTo(paused.Id));
            Assert.That((await db.Experiments.SingleAsync(row => row.TrajectoryId == other.Id)).Status, Is.EqualTo(ExperimentStatus.Queued));
            Assert.That((await worker.Writer.ReadWantedAsync(claim, CancellationToken.None)).Steps, Is.Empty, "its worker is told");
        });
    }

    [Test]
    public async Task Seconds_CountFromTheFirstTraining_AndStopOnce()
    {
        var study = await AddStudyAsync(seconds: 60);
        var trajectory = await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], study: study);
        await _jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [100], study: study);
        await using var db = _jobs.Database.NewContext();
        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET created_at = now() - interval '1 day', queued_at = now() - interval '1 day'");
        await StopStudiesAsync();
        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET started_at = now() - interval '59 s' WHERE trajectory_id = {trajectory.Id}");
        await StopStudiesAsync();
        Assert.That(await StatusesAsync(study), Is.All.EqualTo(ExperimentStatus.Queued), "waiting costs nothing");

        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET started_at = now() - interval '61 s' WHERE trajectory_id = {trajectory.Id}");
        await Task.WhenAll(StopStudiesAsync(), StopStudiesAsync());
        Assert.That(await StatusesAsync(study), Is.All.EqualTo(ExperimentStatus.Cancelled));

        await new ExperimentControl(db, _jobs.Queue).ApplyAsync(ControlAction.Retry, db.Experiments.Where(row => row.StudyId == study.Id), CancellationToken.None);
        await StopStudiesAsync();
        Assert.That(await StatusesAsync(study), Is.All.EqualTo(ExperimentStatus.Queued), "what is retried afterwards goes on");
    }

    private Task StopStudiesAsync() => _jobs.NewSweeper().StopStudiesAsync(CancellationToken.None);

    private async Task<Study> AddStudyAsync(int? seconds = null, int? failures = null)
    {
        var study = await _jobs.Rows.AddStudyAsync(limit: null);
        await using var db = _jobs.Database.NewContext();
        await db.Studies.Where(row => row.Id == study.Id).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.SecondsLimit, seconds).SetProperty(row => row.FailuresLimit, failures));
        return study;
    }

    private async Task FailAsync(Guid trajectoryId)
    {
        await using var db = _jobs.Database.NewContext();
        await db.Experiments.Where(row => row.TrajectoryId == trajectoryId).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.Status, ExperimentStatus.Failed).SetProperty(row => row.Error, "out of memory"));
        await db.Trajectories.Where(row => row.Id == trajectoryId).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.Status, TrajectoryStatus.Idle).SetProperty(row => row.WaitingSince, (DateTimeOffset?)null));
    }

    private async Task<List<ExperimentStatus>> StatusesAsync(Study study)
    {
        await using var db = _jobs.Database.NewContext();
        return await db.Experiments.Where(row => row.StudyId == study.Id).Select(row => row.Status).ToListAsync();
    }
}
