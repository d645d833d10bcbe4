using MlExperiments.Shared;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Worker;
using MlExperiments.Worker.DataSets;
using MlExperiments.Worker.Housekeeping;
using MlExperiments.Worker.Jobs;
using MlExperiments.Worker.Predictions;
using MlExperiments.Worker.Slots;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

var isStarting = true;
try
{
    var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { Args = args, ContentRootPath = AppContext.BaseDirectory });
    builder.Logging.ClearProviders().AddSimpleConsole(console =>
    {
        console.SingleLine = true;
        console.TimestampFormat = "yyyy-MM-dd HH:mm:ss ";
        console.UseUtcTimestamp = true;
    });

    var services = builder.Services;
    services.AddOptions<WorkerOptions>().BindConfiguration(WorkerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
    services.AddSingleton(TimeProvider.System);
    services.AddSingleton<WorkerIdentity>();
    services.AddDatabase(builder.Configuration);
    services.AddBlobStore(builder.Configuration);
    services.AddSingleton<ScratchFolder>();
    services.AddSingleton<TrainerProgram>();
    services.AddSingleton<SlotPool>();
    services.AddSingleton<PackedDataSets>();
    services.AddSingleton<ImageHashes>();
    services.AddSingleton<Claims>();
    services.AddSingleton<TrajectoryWriter>();
    services.AddSingleton<RunningAttempts>();
    services.AddSingleton<TrajectoryRun>();
    services.AddHostedService<Heartbeat>();
    services.AddHostedService<Sweeper>();
    services.AddHostedService<ControlListener>();
    services.AddHostedService<PredictionAnswerer>();
    services.AddOptions<HousekeepingOptions>().BindConfiguration(HousekeepingOptions.Section).ValidateDataAnnotations().ValidateOnStart();
    services.AddHostedService<Housekeeper>();
    services.AddTicketQueue<TicketHandler>(WorkerIdentity.SlotsOf(builder.Configuration.GetSection(WorkerOptions.Section).Get<WorkerOptions>() ?? new()));
    services.AddSingleton<StopDeadline>();
    // The host only stops waiting for what hangs, and then hangs itself: the deadline ends it all.
    services.Configure<HostOptions>(options => options.ShutdownTimeout = Timeout.InfiniteTimeSpan);

    using var host = builder.Build();
    host.Services.GetRequiredService<IStartupValidator>().Validate();
    var logger = host.Services.GetRequiredService<ILogger<Program>>();
    await StartUp.WaitForDatabaseAsync(host.Services.GetRequiredService<NpgsqlDataSource>(), logger);
    await using (var db = await host.Services.GetRequiredService<IDbContextFactory<ExperimentsDbContext>>().CreateDbContextAsync())
        await Database.CheckVersionAsync(db, CancellationToken.None);
    await host.Services.GetRequiredService<TicketQueue>().CheckVersionAsync(CancellationToken.None);
    host.Services.GetRequiredService<IBlobStore>();

    var identity = host.Services.GetRequiredService<WorkerIdentity>();
    logger.LogInformation(
        "Worker {Name} with {Slots} slots; job engine: {JobEngine}", identity.Name, identity.Slots, TicketQueue.Engine);
    // Npgsql blocks a thread for every call that is cancelled or timed out while the server is silent; the watchdogs don't wait for a free one.
    ThreadPool.GetMinThreads(out _, out var completionThreads);
    ThreadPool.SetMinThreads(Environment.ProcessorCount + 16 + (4 * identity.Slots), completionThreads);
    host.Services.GetRequiredService<PackedDataSets>().EmptyFolder();
    var engine = await host.Services.GetRequiredService<SlotPool>().WarmUpAsync(CancellationToken.None);
    logger.LogInformation("Its trainers run {Engine} {Version} on {Device}", engine.Engine, engine.EngineVersion, engine.Device);

    host.Services.GetRequiredService<StopDeadline>().Arm();
    await host.StartAsync();
    isStarting = false;
    await host.WaitForShutdownAsync();
    return 0;
}
catch (Exception exception) when (isStarting && StartUp.Reason(exception) is not null)
{
    return StartUpError.Report(StartUp.Reason(exception)!);
}
catch (OperationCanceledException) when (isStarting)
{
    // SIGTERM came before it had started.
    return 0;
}
