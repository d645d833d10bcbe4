using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Workers;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <param name="Status"><c>live</c>, <c>ready</c> or <c>notReady</c>.</param>
/// <param name="Checks">What was looked at.</param>
public sealed record HealthReport([property: AllowedValues("live", "ready", "notReady")] string Status, IReadOnlyList<HealthCheck> Checks);

/// <param name="Name"><c>database</c>, <c>blobs</c> or <c>workers</c>.</param>
/// <param name="Status"><c>ok</c> or <c>failed</c>.</param>
/// <param name="Detail">One sentence: what was found, or what to do.</param>
public sealed record HealthCheck(
    [property: AllowedValues("database", "blobs", "workers")] string Name, [property: AllowedValues("ok", "failed")] string Status, string Detail);

internal static partial class Health
{
    private static readonly TimeSpan CheckLimit = TimeSpan.FromSeconds(5);

    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/health").WithTags("Health");
        group.MapGet("/live", GetLive)
            .WithSummary("Answers as long as the process serves requests")
            .WithDescription("For whatever restarts the service when it hangs. It needs no API key and looks at nothing else.")
            .WithExamples(response: """{"status": "live", "checks": []}""");
        group.MapGet("/ready", GetReady)
            .WithSummary("Says whether everything that the service needs is there")
            .WithDescription("The database, the blobs and a worker, each with what was found. Without a worker it is 503, though everything but training works.")
            .WithExamples(response: """
                {"status": "ready", "checks": [
                  {"name": "database", "status": "ok", "detail": "Reachable, with this build's schema."},
                  {"name": "blobs", "status": "ok", "detail": "Can be written and read."},
                  {"name": "workers", "status": "ok", "detail": "1 worker was seen within the last 30 seconds."}]}
                """)
            .WithExample(503, """
                {"status": "notReady", "checks": [
                  {"name": "database", "status": "ok", "detail": "Reachable, with this build's schema."},
                  {"name": "blobs", "status": "ok", "detail": "Can be written and read."},
                  {"name": "workers", "status": "failed", "detail": "No worker was seen within the last 30 seconds: start one; until then experiments wait."}]}
                """)
            .Produces<HealthReport>()
            .Produces<HealthReport>(StatusCodes.Status503ServiceUnavailable);
    }

    private static Ok<HealthReport> GetLive() => TypedResults.Ok(new HealthReport("live", []));

    private static async Task<JsonHttpResult<HealthReport>> GetReady(
        IDbContextFactory<ExperimentsDbContext> contexts, NpgsqlDataSource database, TicketQueue queue, IBlobStore blobs, CancellationToken cancellationToken)
    {
        var checks = await Task.WhenAll(
            CheckAsync("database", token => CheckDatabaseAsync(contexts, queue, database, token), cancellationToken),
            CheckAsync("blobs", token => CheckBlobsAsync(blobs, token), cancellationToken),
            CheckAsync("workers", token => CheckWorkersAsync(database, token), cancellationToken));
        var ready = checks.All(check => check.Status == "ok");
        return TypedResults.Json(
            new HealthReport(ready ? "ready" : "notReady", checks),
            statusCode: ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<HealthCheck> CheckAsync(string name, Func<CancellationToken, Task<(bool, string)>> check, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CheckLimit);
        try
        {
            var (ok, detail) = await check(limit.Token);
            return new HealthCheck(name, ok ? "ok" : "failed", detail);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new HealthCheck(name, "failed", $"No answer within {CheckLimit.TotalSeconds:0} seconds.");
        }
        // What a check throws is its finding, whatever it is.
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return new HealthCheck(name, "failed", DatabaseErrors.Reason(exception));
        }
    }

    private static async Task<(bool, string)> CheckDatabaseAsync(
        IDbContextFactory<ExperimentsDbContext> contexts, TicketQueue queue, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        // Without the execution strategy's retries: the question is how it is now.
        await using (await database.OpenConnectionAsync(cancellationToken))
        {
        }

        await using var db = await contexts.CreateDbContextAsync(cancellationToken);
        await Database.CheckVersionAsync(db, cancellationToken);
        await queue.CheckVersionAsync(cancellationToken);
        return (true, "Reachable, with this build's schema.");
    }

    private static async Task<(bool, string)> CheckBlobsAsync(IBlobStore blobs, CancellationToken cancellationToken)
    {
        await blobs.ProbeAsync(cancellationToken);
        return (true, "Can be written and read.");
    }

    private static async Task<(bool, string)> CheckWorkersAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT count(*) FROM workers WHERE stopped_at IS NULL AND last_seen_at > now() - $1");
        command.Parameters.AddWithValue(AliveWorkers.Silence);
        var alive = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
        return alive == 0
            ? (false, $"No worker was seen within the last {AliveWorkers.SilenceInWords}: start one; until then experiments wait.")
            : (true, $"{alive} {(alive == 1 ? "worker was" : "workers were")} seen within the last {AliveWorkers.SilenceInWords}.");
    }
}
