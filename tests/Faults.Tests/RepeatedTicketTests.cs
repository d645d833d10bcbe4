using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>Tickets that are delivered more often than there is work.</summary>
[TestFixture]
public sealed class RepeatedTicketTests
{
    private const int Deliveries = 10;

    /// <summary>A trainer that does its one step at once; the weights' hash names the trajectory that they are for.</summary>
    private const string QuickTrainer =
        """
        echo '{"type":"ready","engine":"none","engineVersion":"0","device":"cpu"}'
        while read -r command; do
          [[ $command =~ \"trajectoryId\":\"([^\"]+)\" ]] && id=${BASH_REMATCH[1]}
          [[ $command =~ \"outputDirectory\":\"([^\"]+)\" ]] && folder=${BASH_REMATCH[1]}
          echo "$id" > "$folder/weights"
          about='"trajectoryId":"'$id'","step":'
          echo '{"type":"started",'"$about"'0,"reproducible":true}'
          echo '{"type":"milestone",'"$about"'1,"accuracy":0.5,"loss":1,"meanSquaredError":0.1,"diverged":false,"weights":"'"$folder"'/weights",' \
            '"weightsHash":"'"${id//-/}${id//-/}"'","trainSeconds":0.01,"reproducible":true}'
          echo '{"type":"done",'"$about"'1}'
        done
        """;

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task Tickets_DeliveredTenTimesToFourWorkers_GiveOneResultEach()
    {
        var jobs = Faults.Times(60, 1000);
        for (var job = 0; job < jobs; job++)
            await _ground.Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [1]);
        await _ground.Stack.EnqueueAsync(jobs * Deliveries);

        for (var worker = 0; worker < 4; worker++)
            _ground.StartWorker(("TrainerCommand", "/bin/bash"), ("TrainerArguments__0", "-c"), ("TrainerArguments__1", QuickTrainer), ("Lease", "00:01:00"));
        await Eventually.GetAsync("all tickets to be taken", TrainingGround.Patience, _ground.Stack.CountTicketsAsync, waiting => waiting == 0);
        await _ground.WhenAsync("the last one to end", db => db.Attempts.CountAsync(attempt => attempt.Outcome == null), running => running == 0);

        await using var db = _ground.Stack.Database.NewContext();
        var experiments = await db.Experiments.ToListAsync();
        var lost = experiments.Count(experiment => experiment.Status != ExperimentStatus.Completed || experiment.WeightsHash != $"{experiment.TrajectoryId:N}{experiment.TrajectoryId:N}");
        var attempts = await db.Attempts.CountAsync();
        Faults.Report($"each ticket delivered {Deliveries} times to 4 workers", jobs, lost, attempts - jobs);
        Assert.Multiple(async () =>
        {
            Assert.That(experiments, Has.Count.EqualTo(jobs));
            Assert.That(lost, Is.Zero);
            Assert.That(attempts, Is.EqualTo(jobs));
            Assert.That(await Audit.RepeatedAsync(_ground.Stack.Database), Is.Zero);
            Assert.That(await Audit.StaleAsync(_ground.Stack.Database), Is.Empty);
        });
    }
}
