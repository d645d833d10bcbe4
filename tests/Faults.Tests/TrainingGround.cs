using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>
/// Real workers on grids of 27 experiments whose results are known from a run that nothing disturbed: whatever happens to the workers,
/// in the end every experiment must have that result, written once.
/// </summary>
internal sealed class TrainingGround : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(Faults.IsLong ? 15 : 4);

    private static readonly int[] Steps = [150, 300, 600];

    /// <summary>For the network of the default size, each of whose steps takes ten times as long.</summary>
    private static readonly int[] DefaultSteps = [50, 100, 150];

    private static readonly (string, string)[] Options =
    [
        ("CheckpointEvery", "00:00:00.3"), ("Lease", "00:00:03"), ("LeaseMargin", "00:00:00.8"), ("RenewEvery", "00:00:00.4"), ("SweepEvery", "00:00:00.3"),
        // A worker may be hit at the same moment again and again.
        ("MaxLostAttempts", "100"),
    ];

    private static readonly Lazy<Task<Dictionary<string, Result>>> Undisturbed = new(RunUndisturbedAsync);

    private int _workers;

    private TrainingGround(WorkerStack stack) => Stack = stack;

    private sealed record Result(string? WeightsHash, double? Accuracy);

    public WorkerStack Stack { get; }

    /// <inheritdoc cref="WorkerStack.CreateAsync"/>
    public static async Task<TrainingGround> CreateAsync(TestDatabase? database = null, string? folder = null)
    {
        var stack = await WorkerStack.CreateAsync(database, folder);
        await Audit.InstallAsync(stack.Database);
        return new TrainingGround(stack);
    }

    /// <summary>Starts a worker whose name is unlike all others'.</summary>
    public (string Name, ServiceProcess Process) StartWorker(params (string Name, string Value)[] options) => StartWorkerUnder([], [], options);

    public (string Name, ServiceProcess Process) StartWorkerUnder(
        IReadOnlyList<string> launcher, Dictionary<string, string?> environment, params (string Name, string Value)[] options)
    {
        var name = $"worker-{++_workers}";
        return (name, Stack.StartWorkerUnder(launcher, name, environment, [.. Options, .. options]));
    }

    public async Task AddGridAsync()
    {
        foreach (var (parameters, steps) in Grid())
            await Stack.Rows.AddTrajectoryAsync(parameters, steps);
    }

    /// <summary>Adds another grid before the workers run out of work.</summary>
    public async Task KeepBusyAsync()
    {
        await using var db = Stack.Database.NewContext();
        if (await db.Trajectories.CountAsync(trajectory => trajectory.Status != TrajectoryStatus.Idle) < 4)
            await AddGridAsync();
    }

    /// <summary>The trajectory that the worker trains, once it does.</summary>
    /// <param name="isBusy">Whether there is work until then, however fast the others are.</param>
    public Task<Guid> WhenTrainingAsync(string worker, bool isBusy = false) =>
        WhenAsync(
            $"{worker} to train",
            async db =>
            {
                if (isBusy)
                    await KeepBusyAsync();
                return await db.Attempts.Where(attempt => attempt.WorkerName == worker && attempt.Outcome == null)
                    .Join(
                        db.Experiments.Where(experiment => experiment.Status == ExperimentStatus.Running && experiment.StartedAt != null && experiment.Worker == worker),
                        attempt => attempt.TrajectoryId, experiment => experiment.TrajectoryId, (attempt, experiment) => attempt.TrajectoryId)
                    .FirstOrDefaultAsync();
            },
            id => id != Guid.Empty);

    public Task<T> WhenAsync<T>(string what, Func<ExperimentsDbContext, Task<T>> ask, Func<T, bool> accept) =>
        Eventually.GetAsync(
            what,
            Patience,
            async () =>
            {
                await using var db = Stack.Database.NewContext();
                return await ask(db);
            },
            accept);

    /// <summary>Waits for the end of all experiments and attempts, compares them with the undisturbed run's, and adds the fault to the table.</summary>
    /// <param name="lostBefore">What else is known to be lost.</param>
    public async Task EndAsync(string fault, int times, int lostBefore = 0)
    {
        await WhenAsync(
            "all experiments to end",
            db => db.Trajectories.CountAsync(trajectory => trajectory.Status != TrajectoryStatus.Idle),
            open => open == 0);
        var results = await Undisturbed.Value;
        await using var db = Stack.Database.NewContext();
        var experiments = await db.Experiments.AsNoTracking().ToListAsync();
        var lost = experiments.Where(experiment => ResultOf(experiment) != results[KeyOf(experiment)])
            .Select(experiment => $"{experiment.Status} {KeyOf(experiment)}: {ResultOf(experiment)}, not {results[KeyOf(experiment)]}; {experiment.Error}").ToList();
        var repeated = await Audit.RepeatedAsync(Stack.Database);
        var stale = await Audit.StaleAsync(Stack.Database);
        Faults.Report(fault, times, lost.Count + lostBefore, repeated + stale.Count);
        Assert.Multiple(() =>
        {
            Assert.That(experiments, Is.Not.Empty);
            Assert.That(lost, Is.Empty);
            Assert.That(repeated, Is.Zero);
            Assert.That(stale, Is.Empty);
        });
    }

    public ValueTask DisposeAsync() => Stack.DisposeAsync();

    /// <summary>One of its networks is of the default size, which is computed by other kernels than the small ones.</summary>
    private static IEnumerable<(TrajectoryParameters Parameters, int[] Steps)> Grid() =>
        from learningRate in new[] { 0.001, 0.003, 0.01 }
        from layers in new[] { 1, 2, 3 }
        let small = WorkerStack.Small with { LearningRate = learningRate, Layers = layers }
        let usual = WorkerStack.Default
        select (learningRate, layers) == (usual.LearningRate, usual.Layers) ? (usual, DefaultSteps) : (small, Steps);

    private static async Task<Dictionary<string, Result>> RunUndisturbedAsync()
    {
        await using var stack = await WorkerStack.CreateAsync();
        foreach (var (parameters, steps) in Grid())
            await stack.Rows.AddTrajectoryAsync(parameters, steps);
        stack.StartWorker("undisturbed", ("Slots", "2"), ("Lease", "00:01:00"));
        var experiments = await Eventually.GetAsync(
            "the undisturbed run",
            Patience,
            async () =>
            {
                await using var db = stack.Database.NewContext();
                return await db.Experiments.AsNoTracking().ToListAsync();
            },
            experiments => experiments.All(experiment => experiment.Status.IsFinal()));
        Assert.That(experiments.Select(experiment => experiment.Status), Is.All.EqualTo(ExperimentStatus.Completed));
        return experiments.ToDictionary(KeyOf, ResultOf);
    }

    private static Result ResultOf(Experiment experiment) => new(experiment.WeightsHash, experiment.Accuracy);

    private static string KeyOf(Experiment experiment)
    {
        var parameters = experiment.Parameters.Deserialize<ExperimentParameters>(ContractJson.Options)!;
        return $"learningRate {parameters.LearningRate}, layers {parameters.Layers}, steps {experiment.TotalSteps}";
    }
}
