using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Api.Predictions;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Workers;

/// <summary>Who works, and what runs here.</summary>
internal static class WorkersEndpoints
{
    public static void MapWorkers(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Service");
        group.MapGet("/workers", ListWorkers)
            .WithSummary("Lists workers: those that are alive first, then the latest")
            .WithDescription("Not in pages: what is beyond limit is long gone.")
            .WithExamples(response: """
                {"items": [{"id": "01980c3d-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "name": "worker-1", "status": "alive", "host": "ip-10-0-0-5", "processId": 812, "version": "0.1.0",
                  "trainers": ["torch"], "slots": 2, "busySlots": 1, "memoryBytes": 552341504, "jobEngine": "Hangfire 1.8.25", "torchEngine": "TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)",
                  "startedAt": "2026-03-01T08:00:00+00:00", "lastSeenAt": "2026-03-01T09:00:00+00:00", "stoppedAt": null}], "nextCursor": null}
                """)
            .Fails(400);
        group.MapGet("/about", GetAbout)
            .WithSummary("Version, engines and limits of this service")
            .WithDescription("The engines that train are those of the workers that are alive: none are named while there is no worker.")
            .WithExamples(response: """
                {"name": "ML Experiments", "version": "0.1.0", "jobEngine": "Hangfire 1.8.25", "jobDashboard": "/hangfire", "torchEngines": ["TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)"], "database": "PostgreSQL 15.18",
                 "schema": "0001_initial", "limits": {"experimentsPerRequest": 10000, "pageSize": 500, "openPredictions": 1000, "predictionWaitSeconds": 30, "predictionImages": 100, "imagePixels": 25000000}}
                """);
    }

    private static async Task<Ok<Page<WorkerResponse>>> ListWorkers(
        ExperimentsDbContext db,
        [Description("How many workers at most, 1 to 500."), Range(1, PageQuery.MaxLimit, ErrorMessage = "limit is 1 to 500.")] int limit = PageQuery.DefaultLimit,
        CancellationToken cancellationToken = default)
    {
        // By the database's clock, which last_seen_at is written with.
        var alive = await AliveAsync(db, cancellationToken);
        var workers = await db.Workers.AsNoTracking()
            .OrderByDescending(worker => alive.Contains(worker.Id)).ThenByDescending(worker => worker.LastSeenAt).ThenBy(worker => worker.Id)
            .Take(limit)
            .ToListAsync(cancellationToken);
        return TypedResults.Ok(new Page<WorkerResponse>(
            [.. workers.Select(worker => new WorkerResponse(
                worker.Id,
                worker.Name,
                alive.Contains(worker.Id) ? "alive" : worker.StoppedAt is null ? "lost" : "stopped",
                worker.Host,
                worker.ProcessId,
                worker.Version,
                worker.Trainers,
                worker.Slots,
                worker.BusySlots,
                worker.MemoryBytes,
                worker.JobEngine,
                worker.TorchEngine,
                worker.StartedAt,
                worker.LastSeenAt,
                worker.StoppedAt))],
            null));
    }

    private static async Task<Ok<AboutResponse>> GetAbout(ExperimentsDbContext db, IJobQueue queue, CancellationToken cancellationToken)
    {
        var alive = await AliveAsync(db, cancellationToken);
        var engines = await db.Workers.Where(worker => alive.Contains(worker.Id) && worker.TorchEngine != null)
            .Select(worker => worker.TorchEngine!).Distinct().Order().ToListAsync(cancellationToken);
        var server = await db.Database.SqlQuery<string>($"SELECT split_part(version(), ' (', 1) AS \"Value\"").ToListAsync(cancellationToken);
        var migrations = await db.Database.GetAppliedMigrationsAsync(cancellationToken);
        return TypedResults.Ok(new AboutResponse(
            "ML Experiments",
            typeof(WorkersEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0],
            queue.Engine,
            JobDashboard.Path,
            engines,
            server[0],
            migrations.Last(),
            new Limits(
                Generation.MaxExperiments,
                PageQuery.MaxLimit,
                PredictionsEndpoints.MaxOpen,
                PredictionsEndpoints.MaxWaitSeconds,
                PredictionForms.MaxImages,
                ImageDecoder.MaxPixels)));
    }

    private static Task<List<Guid>> AliveAsync(ExperimentsDbContext db, CancellationToken cancellationToken) => db.Database.SqlQuery<Guid>(
        $"SELECT id AS \"Value\" FROM workers WHERE stopped_at IS NULL AND last_seen_at > now() - {AliveWorkers.Silence}").ToListAsync(cancellationToken);
}
