using Quartz;

namespace MlExperiments.Shared.Queue.Quartz;

/// <summary>The one job: hands the ticket to the worker's handler. Its type's name is stored in Quartz's tables.</summary>
internal sealed class TicketJob(ITicketHandler handler) : IJob
{
    public static readonly JobKey Key = new("ticket");

    // A failed ticket needs no second firing: the sweeper issues another for a trajectory that still waits.
    public async ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken) =>
        await handler.HandleAsync(cancellationToken);
}
