using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Testing;

/// <summary>A database, blobs and a model of drawn digits, for real worker processes to train.</summary>
public sealed class WorkerStack : IAsyncDisposable
{
    /// <summary>A network that trains a step in about a millisecond.</summary>
    public static readonly TrajectoryParameters Small = new() { LearningRate = 0.003, Layers = 1, Filters = 4, DenseUnits = 16, BatchSize = 16 };

    /// <summary>A network of the default size, whose step takes ten times as long and is computed by the kernels for many filters.</summary>
    public static readonly TrajectoryParameters Default = new() { LearningRate = 0.001, Layers = 2 };

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <summary>The workers' own.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(4);

    private readonly DirectoryInfo _folder;
    private readonly List<ServiceProcess> _workers = [];

    private WorkerStack(TestDatabase database, DirectoryInfo folder, Rows rows)
    {
        Database = database;
        WorkersDatabase = database.ConnectionString;
        _folder = folder;
        Rows = rows;
    }

    public TestDatabase Database { get; }
    public Rows Rows { get; }
    public string BlobFolder => BlobFolderIn(_folder);

    /// <summary>How workers that start from now on reach the database.</summary>
    public string WorkersDatabase { get; set; }

    /// <param name="database">Migrated; a fresh one where null. The stack disposes of it.</param>
    /// <param name="folder">Where blobs and the workers' folders are; a temporary one where null. The stack deletes it.</param>
    public static async Task<WorkerStack> CreateAsync(TestDatabase? database = null, string? folder = null)
    {
        database ??= await TestDatabase.CreateAsync();
        var files = folder is null ? Directory.CreateTempSubdirectory("mlexperiments-worker-test-") : Directory.CreateDirectory(folder);
        return new WorkerStack(database, files, await TestModel.AddWithDigitsAsync(database, BlobFolderIn(files)));
    }

    public string BlobPath(string hash) => Path.Combine(BlobFolder, hash[..2], hash);

    /// <param name="options">Members of the worker's options, without their section's name.</param>
    public ServiceProcess StartWorker(string name, params (string Name, string Value)[] options) => StartWorkerUnder([], name, new Dictionary<string, string?>(), options);

    /// <param name="launcher">See <see cref="ServiceProcess.StartUnder"/>.</param>
    /// <param name="environment">Variables beside the worker's own, or in their place.</param>
    public ServiceProcess StartWorkerUnder(
        IReadOnlyList<string> launcher, string name, IReadOnlyDictionary<string, string?> environment, params (string Name, string Value)[] options)
    {
        var settings = new Dictionary<string, string?>
        {
            // The server knows each worker's connections by its name.
            ["ConnectionStrings__Database"] = $"{WorkersDatabase};Application Name={name}",
            ["Blobs__Folder"] = BlobFolder,
            ["Worker__Name"] = name,
            ["Worker__Folder"] = Path.Combine(_folder.FullName, name),
            ["Worker__Slots"] = "1",
            ["Worker__EvaluateEvery"] = "50",
            ["Worker__Lease"] = $"{Lease}",
            ["Worker__RenewEvery"] = "00:00:00.5",
            ["Worker__LeaseMargin"] = "00:00:01",
            ["Worker__SweepEvery"] = "00:00:00.5",
        };
        foreach (var (option, value) in options)
            settings[$"Worker__{option}"] = value;
        foreach (var (variable, value) in environment)
            settings[variable] = value;
        var worker = ServiceProcess.StartUnder(launcher, "Worker", settings);
        _workers.Add(worker);
        return worker;
    }

    /// <summary>Issues tickets beside those that the sweepers find to be missing.</summary>
    public async Task EnqueueAsync(int tickets)
    {
        using var host = NewQueue(Database);
        var queue = host.Services.GetRequiredService<TicketQueue>();
        for (var left = tickets; left > 0; left -= TicketQueue.MaxTicketsPerTransaction)
        {
            await using var db = Database.NewContext();
            await db.TransactAsync(
                token =>
                {
                    queue.Enqueue(db, left, token);
                    return Task.CompletedTask;
                },
                CancellationToken.None);
        }
    }

    /// <summary>Tickets that no worker has taken yet.</summary>
    public async Task<int> CountTicketsAsync()
    {
        using var host = NewQueue(Database);
        return await host.Services.GetRequiredService<TicketQueue>().CountWaitingAsync(CancellationToken.None);
    }

    public async Task<Experiment> WhenFinalAsync(Guid trajectoryId, int steps)
    {
        var experiment = await Eventually.GetAsync(
            $"the experiment of {steps} steps to end",
            Patience,
            async () =>
            {
                await using var db = Database.NewContext();
                return await db.Experiments.AsNoTracking().SingleAsync(row => row.TrajectoryId == trajectoryId && row.TotalSteps == steps);
            },
            row => row.Status.IsFinal());
        return experiment;
    }

    public async Task<T> WhenAsync<T>(string what, Func<ExperimentsDbContext, Task<T>> ask, Func<T, bool> accept) =>
        await Eventually.GetAsync(
            what,
            Patience,
            async () =>
            {
                await using var db = Database.NewContext();
                return await ask(db);
            },
            accept);

    /// <summary>The attempts, once the last one has ended.</summary>
    public Task<List<Attempt>> AttemptsAsync(Guid trajectoryId) =>
        WhenAsync(
            "the last attempt's end",
            db => db.Attempts.AsNoTracking().Where(attempt => attempt.TrajectoryId == trajectoryId).OrderBy(attempt => attempt.Fence).ToListAsync(),
            attempts => attempts.All(attempt => attempt.Outcome is not null));

    /// <summary>What a trainer says first.</summary>
    public const string SayReady = """echo '{"type":"ready","engine":"none","engineVersion":"0","device":"cpu"}'""";

    /// <summary>A trainer that is a line of shell.</summary>
    public static (string, string)[] ShellTrainer(string script, string shell = "/bin/sh") =>
        [("TrainerCommand", shell), ("TrainerArguments__0", "-c"), ("TrainerArguments__1", script)];

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        await Database.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private static IHost NewQueue(TestDatabase database)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("ConnectionStrings:Database", database.ConnectionString)]);
        builder.Services.AddDatabase(builder.Configuration).AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning)).AddTicketQueue();
        return builder.Build();
    }

    private static string BlobFolderIn(DirectoryInfo folder) => Path.Combine(folder.FullName, "blobs");
}
