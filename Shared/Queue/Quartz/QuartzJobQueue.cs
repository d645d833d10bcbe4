using System.Transactions;
using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Quartz;

namespace MlExperiments.Shared.Queue.Quartz;

/// <summary>Tickets as one-shot triggers of one durable job in Quartz's clustered PostgreSQL store.</summary>
internal sealed class QuartzJobQueue(ISchedulerFactory schedulers, NpgsqlDataSource dataSource) : IJobQueue
{
    /// <summary>Past by every clock: a machine whose clock is minutes slow would otherwise leave the tickets of the others lying for so long.</summary>
    private static readonly DateTimeOffset Due = DateTimeOffset.UnixEpoch.AddYears(30);

    public string Engine { get; } = $"Quartz {typeof(IScheduler).Assembly.GetName().Version?.ToString(3)}";

    public async Task EnqueueAsync(ExperimentsDbContext db, int count, CancellationToken cancellationToken)
    {
        if (Transaction.Current is null)
            throw new InvalidOperationException($"Tickets are enqueued inside {nameof(Transactions.TransactAsync)}, together with the rows that they are for.");
        if (count <= 0)
            return;

        var scheduler = await schedulers.GetScheduler(cancellationToken);
        using (scheduler.EnlistConnection(db.Database.GetDbConnection()))
        {
            for (var ticket = 0; ticket < Math.Min(count, IJobQueue.MaxTicketsPerTransaction); ticket++)
            {
                var trigger = TriggerBuilder.Create()
                    .WithIdentity(Guid.CreateVersion7().ToString("N"))
                    .ForJob(TicketJob.Key)
                    .StartAt(Due)
                    // A ticket that waits for hours is in order, not a misfire.
                    .WithSimpleSchedule(schedule => schedule.WithMisfireInstruction(SimpleTriggerMisfireInstruction.IgnoreMisfires))
                    .Build();
                await scheduler.ScheduleJob(trigger, cancellationToken: cancellationToken);
            }
        }
    }

    public async Task<int> CountWaitingAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "SELECT count(*) FROM qrtz_triggers WHERE sched_name = $1 AND job_name = $2 AND trigger_state IN ('WAITING', 'ACQUIRED')");
        command.Parameters.AddWithValue(JobQueueServices.SchedulerName);
        command.Parameters.AddWithValue(TicketJob.Key.Name);
        return (int)(long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Creates the tables when the store starts up (see <see cref="JobQueueServices"/>), then the durable job.</summary>
    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        var scheduler = await schedulers.GetScheduler(cancellationToken);
        await scheduler.AddJob(
            JobBuilder.Create<TicketJob>().WithIdentity(TicketJob.Key).StoreDurably().Build(),
            new AddJobOptions { Replace = true },
            cancellationToken);
    }

    public async Task CheckVersionAsync(CancellationToken cancellationToken)
    {
        // Asked of the database itself: the scheduler, on tables that are not there, says so in a page of text.
        await using var command = dataSource.CreateCommand("SELECT to_regclass('qrtz_triggers') IS NOT NULL");
        if (!(bool)(await command.ExecuteScalarAsync(cancellationToken))!
            || !await (await schedulers.GetScheduler(cancellationToken)).Exists(TicketJob.Key, cancellationToken))
            throw new SchemaVersionException("The database lacks the job queue's tables: run the migrate command first.");
    }
}
