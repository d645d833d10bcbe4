using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Worker.Slots;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker;

/// <summary>Keeps this worker's row: people and readiness checks see by it that the worker lives, and what it runs on.</summary>
public sealed partial class Heartbeat(
    IDbContextFactory<ExperimentsDbContext> databases,
    WorkerIdentity identity,
    SlotPool slots,
    IOptions<WorkerOptions> options,
    TimeProvider time,
    ILogger<Heartbeat> logger) : BackgroundService
{
    private static readonly TimeSpan Forget = TimeSpan.FromDays(7);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            await db.Database.ExecuteSqlAsync(
                $"UPDATE workers SET stopped_at = now(), last_seen_at = now(), busy_slots = 0 WHERE id = {identity.Id}", cancellationToken);
        }
        catch (Exception exception)
        {
            // Without a database the row ages by itself.
            LogFailed(logger, exception.Message);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.RenewEvery, time);
        do
        {
            try
            {
                await BeatAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The database may be away; the next beat tries again.
                LogFailed(logger, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var engine = slots.Engine is { } ready ? $"{ready.Engine} {ready.EngineVersion} ({ready.Device})" : null;
        // The row may be missing: at the first beat, or after the database was restored from a backup.
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO workers (id, name, host, process_id, version, trainers, slots, busy_slots, memory_bytes, job_engine, torch_engine, started_at, last_seen_at)
            VALUES ({identity.Id}, {identity.Name}, {Environment.MachineName}, {Environment.ProcessId}, {identity.Version}, {identity.Trainers},
                    {identity.Slots}, {slots.Busy}, {Environment.WorkingSet + slots.MemoryBytes}, {TicketQueue.Engine}, {engine}, now(), now())
            ON CONFLICT (id) DO UPDATE SET busy_slots = excluded.busy_slots, memory_bytes = excluded.memory_bytes, torch_engine = excluded.torch_engine, last_seen_at = now()
            """,
            cancellationToken);
        await db.Database.ExecuteSqlAsync($"DELETE FROM workers WHERE last_seen_at < now() - {Forget}", cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "This worker's row could not be written: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);
}
