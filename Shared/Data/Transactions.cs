using System.Transactions;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Shared.Data;

/// <summary>Transactions that a job queue can join: rows and tickets commit together or not at all.</summary>
public static class Transactions
{
    /// <summary>
    /// Runs <paramref name="work"/> in one read-committed transaction on one connection. A lost connection runs it again from the
    /// start, so it makes its rows anew and keeps nothing from before.
    /// </summary>
    public static Task<T> TransactAsync<T>(
        this ExperimentsDbContext db,
        Func<CancellationToken, Task<T>> work,
        CancellationToken cancellationToken) =>
        db.Database.CreateExecutionStrategy().ExecuteAsync(
            async token =>
            {
                db.ChangeTracker.Clear();
                using var scope = new TransactionScope(
                    TransactionScopeOption.Required,
                    new TransactionOptions { IsolationLevel = IsolationLevel.ReadCommitted, Timeout = TransactionManager.MaximumTimeout },
                    TransactionScopeAsyncFlowOption.Enabled);
                // Held open to the end: a second connection would need a distributed transaction.
                await db.Database.OpenConnectionAsync(token);
                try
                {
                    var result = await work(token);
                    scope.Complete();
                    return result;
                }
                finally
                {
                    await db.Database.CloseConnectionAsync();
                }
            },
            cancellationToken);

    /// <inheritdoc cref="TransactAsync{T}"/>
    public static Task TransactAsync(this ExperimentsDbContext db, Func<CancellationToken, Task> work, CancellationToken cancellationToken) =>
        db.TransactAsync(
            async token =>
            {
                await work(token);
                return true;
            },
            cancellationToken);
}
