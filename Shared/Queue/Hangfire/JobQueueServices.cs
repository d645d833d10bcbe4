using Hangfire;
using Hangfire.AspNetCore;
using Hangfire.PostgreSql;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Queue.Hangfire;
using Npgsql;

namespace MlExperiments.Shared.Queue;

/// <summary>Registers the job engine that this build has; each engine's folder has this class.</summary>
public static class JobQueueServices
{
    /// <summary>For programs that only enqueue.</summary>
    /// <param name="createTables">Create the engine's tables where they are missing: for the migrate command only.</param>
    public static IServiceCollection AddJobQueue(this IServiceCollection services, bool createTables = false)
    {
        services.AddSingleton<IJobQueue, HangfireJobQueue>();
        // Both before AddHangfire, which would fill in static ones that all hosts of a process share.
        services.AddSingleton<JobStorage>(provider => new PostgreSqlStorage(
            new PooledConnections(provider.GetRequiredService<NpgsqlDataSource>()), HangfireJobQueue.NewStorageOptions(createTables))
        {
            // Only the dashboard reads the tickets that are done.
            JobExpirationTimeout = TimeSpan.FromHours(1),
        });
        services.AddSingleton<JobActivator>(provider => new AspNetCoreJobActivator(provider.GetRequiredService<IServiceScopeFactory>()));
        return services.AddHangfire(hangfire => hangfire
            .SetDataCompatibilityLevel(CompatibilityLevel.Version_180)
            .UseSimpleAssemblyNameTypeSerializer()
            .UseRecommendedSerializerSettings());
    }

    /// <summary>For workers: takes up to <paramref name="slots"/> tickets at a time, from the host's start to its stop.</summary>
    public static IServiceCollection AddJobQueue<THandler>(this IServiceCollection services, int slots)
        where THandler : class, ITicketHandler
    {
        services.AddSingleton<ITicketHandler, THandler>();
        services.AddJobQueue();
        return services.AddHangfireServer(server =>
        {
            server.WorkerCount = slots;
            server.Queues = [HangfireJobQueue.QueueName];
            // Two shutdown scopes: no more tickets are taken, then the running ones end; how long that may take is the host's affair.
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
