using System.Transactions;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <summary>Tells a database that is away, which comes back, from a mistake of ours, which doesn't.</summary>
internal static class DatabaseErrors
{
    public static bool IsUnavailable(Exception exception) => IsInDoubt(exception) || (Cause(exception) is { } cause && cause switch
    {
        // Class 08: connection; 53: out of connections, memory, disk; 57P: shutting down or starting; 3D000: no such database; 55000: one
        // that takes no connections; class 28: refused to let us in; 40: deadlock or serialization, after the retries.
        PostgresException postgres => postgres.SqlState is "3D000" or "55000"
            || postgres.SqlState is ['0', '8', ..] or ['5', '3', ..] or ['5', '7', 'P', ..] or ['2', '8', ..] or ['4', '0', ..],
        _ => true,
    });

    /// <summary>Whether the connection broke while a transaction was committed: nobody knows whether it was.</summary>
    public static bool IsInDoubt(Exception exception) => exception switch
    {
        // The server's own refusal is no doubt.
        TransactionException { InnerException: PostgresException } => false,
        TransactionException => true,
        RetryLimitExceededException { InnerException: { } inner } => IsInDoubt(inner),
        _ => false,
    };

    /// <summary>The server's or the connection's own words.</summary>
    public static string Reason(Exception exception) => Cause(exception) switch
    {
        PostgresException postgres => $"{postgres.MessageText}.",
        NpgsqlException { InnerException: { } inner } npgsql => $"{npgsql.Message} ({inner.Message}).",
        { } other => other.Message,
        null => exception.Message,
    };

    private static NpgsqlException? Cause(Exception exception) => exception switch
    {
        NpgsqlException npgsql => npgsql,
        RetryLimitExceededException { InnerException: { } inner } => Cause(inner),
        TransactionException { InnerException: { } inner } => Cause(inner),
        // EF wraps what it thinks that a retry could mend, and every failed save.
        InvalidOperationException { InnerException: { } inner } => Cause(inner),
        Microsoft.EntityFrameworkCore.DbUpdateException { InnerException: { } inner } => Cause(inner),
        _ => null,
    };
}
