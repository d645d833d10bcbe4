using MlExperiments.Shared;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>Trainers that fail in the middle of a training, in every way that a process can.</summary>
[TestFixture]
public sealed class FailingTrainerTests
{
    private const int FailsAt = 200;

    private static readonly (string Action, string Reason)[] Failures =
    [
        ("kill", "signal 9"), ("segfault", "signal 11"), ("hang", "said nothing for 3 s"), ("throw", "A fail point was hit"), ("exhaust", "memory"),
    ];

    private TrainingGround _ground = null!;

    [SetUp]
    public async Task SetUp() => _ground = await TrainingGround.CreateAsync();

    [TearDown]
    public async Task TearDown() => await _ground.DisposeAsync();

    [Test]
    public async Task FailingTrainer_FailsItsTrajectoryWithTheReason_AndTheNeighbourTrainsOn()
    {
        List<Experiment> neighbours = [];
        foreach (var (action, reason) in Failures)
        {
            // Only memory that it asks for itself is short, so that the machine's is not.
            var (_, worker) = _ground.StartWorkerUnder(
                ["prlimit", "--data=4000000000"],
                new() { [FailPoint.Variable] = $"trainer.step:{FailsAt}={action}" },
                ("Slots", "2"), ("MaxLostAttempts", "3"), ("CheckpointEvery", "01:00:00"), ("TrainerSilence", "00:00:03"));
            // The neighbour has fewer steps than the trainer needs to fail, and slower ones.
            var victim = await _ground.Stack.Rows.AddTrajectoryAsync(WorkerStack.Small, [FailsAt + 100]);
            var neighbour = await _ground.Stack.Rows.AddTrajectoryAsync(WorkerStack.Small with { Layers = 3, BatchSize = 128 }, [FailsAt - 50]);
            var failed = await _ground.Stack.WhenFinalAsync(victim.Id, FailsAt + 100);
            neighbours.Add(await _ground.Stack.WhenFinalAsync(neighbour.Id, FailsAt - 50));
            var attempts = await _ground.Stack.AttemptsAsync(victim.Id);
            await worker.StopAsync(TrainingGround.Patience);
            Assert.Multiple(() =>
            {
                Assert.That(failed.Status, Is.EqualTo(ExperimentStatus.Failed), action);
                Assert.That(failed.Error, Does.Contain("3 lost attempts").And.Contain(reason), action);
                Assert.That(attempts, Has.Count.EqualTo(3), action);
                // What it said before it died; one that lives says it in its answer.
                if (action is "kill" or "segfault")
                    Assert.That(failed.Error, Does.Contain("The fail point trainer.step is hit"));
                Assert.That(_ground.Stack.AttemptsAsync(neighbour.Id).Result.Select(attempt => attempt.Outcome), Is.EqualTo(new AttemptOutcome?[] { AttemptOutcome.Completed }));
            });
        }

        Faults.Report(
            $"a trainer that ends by {string.Join(", ", Failures.Select(failure => failure.Action))}: lost of its neighbours",
            3 * Failures.Length,
            neighbours.Count(neighbour => neighbour.Status != ExperimentStatus.Completed || neighbour.WeightsHash != neighbours[0].WeightsHash),
            await Audit.RepeatedAsync(_ground.Stack.Database));
        Assert.That(neighbours.Select(neighbour => neighbour.WeightsHash), Is.All.EqualTo(neighbours[0].WeightsHash).And.Not.Null);
    }
}
