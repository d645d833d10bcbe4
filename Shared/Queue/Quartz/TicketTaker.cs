using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Quartz;

namespace MlExperiments.Shared.Queue.Quartz;

/// <summary>
/// Two shutdown scopes: first no more tickets are taken, then the running ones end. Only then is the scheduler shut down, since
/// a ticket that ends may enqueue another one for whoever goes on.
/// </summary>
internal sealed class TicketTaker(
    IHostApplicationLifetime lifetime, IServiceProvider services, IOptionsMonitor<QuartzHostedServiceOptions> options, RunningTickets running)
    : QuartzHostedService(lifetime, services, options)
{
    public override async Task StoppingAsync(CancellationToken cancellationToken)
    {
        foreach (var scheduler in Schedulers)
            await scheduler.Standby(cancellationToken);
        await running.WhenNone().WaitAsync(cancellationToken);
    }
}
