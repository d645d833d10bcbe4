using Microsoft.EntityFrameworkCore;
using MlExperiments.Testing;

namespace MlExperiments.Worker.Tests;

/// <summary>Real worker processes with real trainers on a database of their own.</summary>
public abstract class WorkerProcessFixture
{
    protected const int ManySteps = 2500;
    protected static readonly (string, string) FrequentCheckpoints = ("CheckpointEvery", "00:00:00.3");

    protected WorkerStack Stack { get; private set; } = null!;

    [SetUp]
    public async Task SetUp() => Stack = await WorkerStack.CreateAsync();

    [TearDown]
    public async Task TearDown() => await Stack.DisposeAsync();

    protected Task<int> CheckpointOfAsync(Guid trajectoryId) =>
        Stack.WhenAsync(
            "a checkpoint",
            db => db.Checkpoints.CountAsync(checkpoint => checkpoint.TrajectoryId == trajectoryId),
            checkpoints => checkpoints > 0);
}
