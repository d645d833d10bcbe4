using Quartz;

namespace MlExperiments.Shared.Queue.Quartz;

/// <summary>The one job: hands the ticket to the worker's handler. Its type's name is stored in Quartz's tables.</summary>
internal sealed class TicketJob(ITicketHandler handler, RunningTickets running) : IJob
{
    public static readonly JobKey Key = new("ticket");

    // A failed ticket needs no second firing: the sweeper issues another for a trajectory that still waits.
    public async ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken)
    {
        using (running.Begin())
            await handler.HandleAsync(cancellationToken);
    }
}

/// <summary>Counts the tickets that are being handled, so that a stop can wait for them.</summary>
internal sealed class RunningTickets
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _none = CompletedSource();
    private int _count;

    public IDisposable Begin()
    {
        lock (_gate)
        {
            if (_count++ == 0)
                _none = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return new Running(this);
    }

    /// <summary>Completes when none is left.</summary>
    public Task WhenNone()
    {
        lock (_gate)
            return _none.Task;
    }

    private static TaskCompletionSource CompletedSource()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }

    private sealed class Running(RunningTickets tickets) : IDisposable
    {
        public void Dispose()
        {
            lock (tickets._gate)
            {
                if (--tickets._count == 0)
                    tickets._none.SetResult();
            }
        }
    }
}
