using Hangfire;
using Hangfire.AspNetCore;
using Hangfire.Common;
using Hangfire.PostgreSql;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MlExperiments.Shared.Queue;

/// <summary>Registers the queue.</summary>
public static class TicketQueueServices
{
    /// <summary>For programs that only enqueue.</summary>
    public static IServiceCollection AddTicketQueue(this IServiceCollection services)
    {
        services.AddSingleton<TicketQueue>();
        // These three before AddHangfire, which otherwise registers static ones that all hosts of a process share.
        services.AddSingleton<JobStorage>(provider => new PostgreSqlStorage(
            new PooledConnections(provider.GetRequiredService<NpgsqlDataSource>()), TicketQueue.Options)
        {
            // Only the dashboard reads the tickets that are done.
            JobExpirationTimeout = TimeSpan.FromHours(1),
        });
        services.AddSingleton<JobActivator>(provider => new AspNetCoreJobActivator(provider.GetRequiredService<IServiceScopeFactory>()));
        // Without the filters that store each ticket's culture and look for its continuations.
        services.AddSingleton<IJobFilterProvider>(new JobFilterProviderCollection(
            new JobFilterCollection { new StatisticsHistoryAttribute() }, new JobFilterAttributeFilterProvider()));
        return services.AddHangfire((provider, hangfire) => hangfire
            .SetDataCompatibilityLevel(CompatibilityLevel.Version_180)
            .UseSimpleAssemblyNameTypeSerializer()
            .UseRecommendedSerializerSettings()
            // Hangfire holds on to its log provider statically. The host's factory ends with the host, and then refuses to make
            // loggers; this one writes to the host's log too, and never ends.
            .UseLogProvider(new AspNetCoreLogProvider(new LoggerFactory(
                provider.GetServices<ILoggerProvider>(), provider.GetRequiredService<IOptionsMonitor<LoggerFilterOptions>>()))));
    }

    /// <summary>For workers: takes up to <paramref name="slots"/> tickets at a time, from the host's start to its stop.</summary>
    public static IServiceCollection AddTicketQueue<THandler>(this IServiceCollection services, int slots)
        where THandler : class, ITicketHandler
    {
        services.AddSingleton<ITicketHandler, THandler>();
        services.AddTicketQueue();
        return services.AddHangfireServer(server =>
        {
            server.WorkerCount = slots;
            server.Queues = [TicketQueue.Name];
            // These polls are for scheduled, recurring and aborted jobs, which tickets never are.
            server.SchedulePollingInterval = TimeSpan.FromDays(1);
            server.CancellationCheckInterval = TimeSpan.FromDays(1);
            // Running tickets end by the host's own shutdown limit, not Hangfire's.
            server.StopTimeout = Timeout.InfiniteTimeSpan;
            server.ShutdownTimeout = Timeout.InfiniteTimeSpan;
        });
    }

    /// <summary>Hangfire's connections come from the program's own pool.</summary>
    private sealed class PooledConnections(NpgsqlDataSource dataSource) : IConnectionFactory
    {
        public NpgsqlConnection GetOrCreateConnection() => dataSource.CreateConnection();
    }
}
