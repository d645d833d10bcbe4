using MlExperiments.Shared.Queue.Quartz;
using Microsoft.Extensions.DependencyInjection;
using Quartz;

namespace MlExperiments.Shared.Queue;

/// <summary>Registers the job engine that this build has; each engine's folder has this class.</summary>
public static class JobQueueServices
{
    internal const string SchedulerName = "MlExperiments";

    /// <summary>For programs that only enqueue.</summary>
    /// <param name="createTables">Create the engine's tables where they are missing: for the migrate command only.</param>
    public static IServiceCollection AddJobQueue(this IServiceCollection services, bool createTables = false) =>
        services.AddScheduler(slots: 1, createTables);

    /// <summary>For workers: takes up to <paramref name="slots"/> tickets at a time, from the host's start to its stop.</summary>
    public static IServiceCollection AddJobQueue<THandler>(this IServiceCollection services, int slots)
        where THandler : class, ITicketHandler
    {
        services.AddSingleton<RunningTickets>();
        services.AddSingleton<ITicketHandler, THandler>();
        services.AddScheduler(slots, createTables: false);
        services.AddQuartzHostedService<TicketTaker>(options => options.WaitForJobsToComplete = true);
        return services;
    }

    private static IServiceCollection AddScheduler(this IServiceCollection services, int slots, bool createTables)
    {
        services.AddSingleton<IJobQueue, QuartzJobQueue>();
        return services.AddQuartz(quartz =>
        {
            quartz.UseDefaultThreadPool(slots);
            quartz.ConfigureScheduler(options =>
            {
                options.InstanceName = SchedulerName;
                options.GenerateInstanceId = true;
                // The shortest that Quartz allows: tickets come from other processes, so nothing but this wakes it.
                options.IdleWaitTime = TimeSpan.FromSeconds(1);
            });
            quartz.UsePersistentStore(store =>
            {
                store.UsePostgres(source => source.UseRegisteredDataSource = true);
                store.UseSystemTextJsonSerializer();
                store.UseClustering();
                store.ConfigureStore(options =>
                {
                    options.AcceptEnlistedTransactions = true;
                    options.SchemaProvisioning = createTables ? SchemaProvisioning.CreateIfMissing : SchemaProvisioning.Validate;
                });
            });
        });
    }
}
