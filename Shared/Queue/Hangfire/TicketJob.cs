using Hangfire;

namespace MlExperiments.Shared.Queue.Hangfire;

/// <summary>The one job: hands the ticket to the worker's handler. Its names are stored in Hangfire's tables.</summary>
internal sealed class TicketJob(ITicketHandler handler)
{
    // A failed ticket needs no second try: the sweeper issues another for a trajectory that still waits.
    [AutomaticRetry(Attempts = 0, OnAttemptsExceeded = AttemptsExceededAction.Delete)]
    public Task RunAsync(CancellationToken cancellationToken) => handler.HandleAsync(cancellationToken);
}
