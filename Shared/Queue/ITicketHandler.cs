using Hangfire;

namespace MlExperiments.Shared.Queue;

/// <summary>
/// The job that Hangfire runs. Workers implement it; programs that enqueue use only its type name, which Hangfire stores.
/// </summary>
public interface ITicketHandler
{
    /// <summary>Returns when the work that the ticket woke the worker for is over.</summary>
    // A failed ticket is not retried: the sweeper issues another one for a trajectory that still waits.
    [AutomaticRetry(Attempts = 0, OnAttemptsExceeded = AttemptsExceededAction.Delete)]
    Task HandleAsync(CancellationToken cancellationToken);
}
