using MlExperiments.Shared.Data;

namespace MlExperiments.Shared.Queue;

/// <summary>
/// Wakes workers. A job is a ticket without content: whoever takes it claims the best waiting trajectory from the rows, and one
/// that is lost or delivered twice changes nothing, since the sweeper issues what is missing and the claim decides.
/// </summary>
public interface IJobQueue
{
    /// <summary>The most tickets of one transaction; the sweeper enqueues the rest.</summary>
    const int MaxTicketsPerTransaction = 500;

    /// <summary>The engine's name and version, for people.</summary>
    string Engine { get; }

    /// <summary>
    /// Enqueues tickets in the transaction that <see cref="Transactions.TransactAsync{T}"/> holds on <paramref name="db"/>:
    /// rolled back, there are none.
    /// </summary>
    /// <param name="count">0 to <see cref="MaxTicketsPerTransaction"/>; more are cut to that.</param>
    /// <exception cref="InvalidOperationException">There is no such transaction.</exception>
    Task EnqueueAsync(ExperimentsDbContext db, int count, CancellationToken cancellationToken);

    /// <summary>The tickets that no worker has taken yet.</summary>
    Task<int> CountWaitingAsync(CancellationToken cancellationToken);

    /// <summary>Brings the engine's own tables; only the migrate command calls it.</summary>
    Task MigrateAsync(CancellationToken cancellationToken);

    /// <summary>Throws where the engine's tables are missing or of another version.</summary>
    Task CheckVersionAsync(CancellationToken cancellationToken);
}

/// <summary>What a worker does with a ticket: returns when the work that it woke for is over.</summary>
public interface ITicketHandler
{
    Task HandleAsync(CancellationToken cancellationToken);
}
