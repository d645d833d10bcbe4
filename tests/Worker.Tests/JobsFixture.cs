using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Testing;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MlExperiments.Worker.Tests;

/// <summary>The worker's services over a database of the test's own, without its background services.</summary>
internal sealed class JobsFixture : IAsyncDisposable
{
    public static readonly TrajectoryParameters Parameters = new() { LearningRate = 0.001, Layers = 1 };

    private readonly IHost _host;

    private JobsFixture(TestDatabase database, IHost host, Rows rows)
    {
        Database = database;
        _host = host;
        Rows = rows;
    }

    public TestDatabase Database { get; }
    public Rows Rows { get; }
    public TicketQueue Queue => _host.Services.GetRequiredService<TicketQueue>();
    public WorkerOptions Options { get; } = new() { Lease = TimeSpan.FromSeconds(15) };

    public static async Task<JobsFixture> CreateAsync()
    {
        var database = await TestDatabase.CreateAsync();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("ConnectionStrings:Database", database.ConnectionString)]);
        builder.Services.AddDatabase(builder.Configuration).AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning)).AddTicketQueue();
        var host = builder.Build();
        return new JobsFixture(database, host, await Rows.AddAsync(database));
    }

    /// <summary>A worker of its own name; each call is another worker.</summary>
    public TestWorker NewWorker(string name = "worker") => new(this, name);

    public IDbContextFactory<ExperimentsDbContext> Databases => _host.Services.GetRequiredService<IDbContextFactory<ExperimentsDbContext>>();

    public Sweeper NewSweeper() => new(Databases, Queue, Microsoft.Extensions.Options.Options.Create(Options), TimeProvider.System, NullLogger<Sweeper>.Instance);

    /// <summary>Lets a lease run out, as seen by the database's clock.</summary>
    public async Task ExpireAsync(Guid trajectoryId)
    {
        await using var db = Database.NewContext();
        await db.Database.ExecuteSqlAsync($"UPDATE trajectories SET lease_until = now() - interval '1 second' WHERE id = {trajectoryId}");
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await Database.DisposeAsync();
    }

    internal sealed class TestWorker
    {
        public TestWorker(JobsFixture fixture, string name)
        {
            var options = Microsoft.Extensions.Options.Options.Create(new WorkerOptions
            {
                Name = name,
                Lease = fixture.Options.Lease,
                MaxLostAttempts = fixture.Options.MaxLostAttempts,
            });
            Identity = new WorkerIdentity(options);
            Claims = new Claims(fixture.Databases, fixture.Queue, Identity, options);
            Writer = new TrajectoryWriter(fixture.Databases, fixture.Queue, Identity, options);
        }

        public WorkerIdentity Identity { get; }
        public Claims Claims { get; }
        public TrajectoryWriter Writer { get; }

        public async Task<Claim> ClaimAsync() =>
            await Claims.NextAsync(CancellationToken.None) ?? throw new AssertionException("There was nothing to claim.");
    }
}
