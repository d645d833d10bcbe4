using System.Globalization;
using System.Text.RegularExpressions;
using System.Transactions;
using Hangfire;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Hangfire.States;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Shared.Queue;

/// <summary>
/// Wakes workers, by jobs of one Hangfire queue. A job is a ticket without content: whoever takes it claims the best waiting
/// trajectory from the rows. A ticket that is lost or delivered twice changes nothing: the sweeper issues what is missing, and the
/// claim decides.
/// </summary>
public sealed partial class TicketQueue(NpgsqlDataSource dataSource, IBackgroundJobClientFactory clients)
{
    /// <summary>The most tickets of one transaction; the sweeper enqueues the rest.</summary>
    public const int MaxTicketsPerTransaction = 500;

    internal const string Name = "tickets";

    /// <summary>The advisory lock that all processes take to install or update Hangfire's tables.</summary>
    private const long MigrationLock = 0x4d4c4578_48616e67;

    /// <summary>Hangfire's name and version, for people.</summary>
    public static string Engine { get; } = $"Hangfire {typeof(JobStorage).Assembly.GetName().Version?.ToString(3)}";

    internal static PostgreSqlStorageOptions Options { get; } = new()
    {
        // Only the migrate command creates tables.
        PrepareSchemaIfNecessary = false,
        EnableLongPolling = true,
        // For a notification that got lost.
        QueuePollInterval = TimeSpan.FromSeconds(5),
        // The ticket of a worker that died is delivered again after this; Hangfire's heartbeat holds the running ones back.
        InvisibilityTimeout = TimeSpan.FromMinutes(1),
        UseSlidingInvisibilityTimeout = true,
    };

    /// <summary>
    /// Enqueues tickets in the transaction that <see cref="Transactions.TransactAsync{T}"/> holds on <paramref name="db"/>:
    /// rolled back, there are none. Hangfire's client blocks the thread while it writes, some milliseconds a ticket.
    /// </summary>
    /// <param name="count">0 to <see cref="MaxTicketsPerTransaction"/>; more are cut to that.</param>
    /// <exception cref="InvalidOperationException">There is no such transaction.</exception>
    public void Enqueue(ExperimentsDbContext db, int count, CancellationToken cancellationToken)
    {
        if (Transaction.Current is null)
            throw new InvalidOperationException($"Tickets are enqueued inside {nameof(Transactions.TransactAsync)}, together with the rows that they are for.");
        if (count <= 0)
            return;

        // Over the caller's connection, which is open and enlisted: a second one would make the transaction a distributed one.
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        var client = clients.GetClient(new PostgreSqlStorage(new ExistingNpgsqlConnectionFactory(connection, Options), Options));
        for (var ticket = 0; ticket < Math.Min(count, MaxTicketsPerTransaction); ticket++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            client.Create<ITicketHandler>(handler => handler.HandleAsync(CancellationToken.None), new EnqueuedState(Name));
        }
    }

    /// <summary>The tickets that no worker has taken yet.</summary>
    public async Task<int> CountWaitingAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            $"SELECT count(*) FROM {Options.SchemaName}.jobqueue WHERE queue = $1 AND (fetchedat IS NULL OR fetchedat < now() - $2)");
        command.Parameters.AddWithValue(Name);
        command.Parameters.AddWithValue(Options.InvisibilityTimeout);
        return (int)(long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Creates or updates Hangfire's tables, one process at a time. Only the migrate command calls it.</summary>
    public static async Task MigrateAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await LockAsync("pg_advisory_lock");
        try
        {
            PostgreSqlObjectsInstaller.Install(connection, Options.SchemaName);
        }
        finally
        {
            await LockAsync("pg_advisory_unlock");
        }

        async Task LockAsync(string function)
        {
            await using var command = new NpgsqlCommand($"SELECT {function}({MigrationLock})", connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    /// <exception cref="SchemaVersionException">Hangfire's tables are missing, or older than this build's Hangfire.</exception>
    public async Task CheckVersionAsync(CancellationToken cancellationToken)
    {
        int? version = null;
        try
        {
            await using var command = dataSource.CreateCommand($"SELECT max(version) FROM {Options.SchemaName}.schema");
            version = await command.ExecuteScalarAsync(cancellationToken) as int?;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName)
        {
            // There is none.
        }

        if (version is null || version < KnownVersion())
            throw new SchemaVersionException("The database lacks Hangfire's tables, or has older ones: run the migrate command first.");
    }

    /// <summary>The newest of the install scripts that Hangfire.PostgreSql carries.</summary>
    private static int KnownVersion() => typeof(PostgreSqlStorage).Assembly.GetManifestResourceNames()
        .Select(name => InstallScript().Match(name))
        .Where(match => match.Success)
        .Max(match => int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture));

    [GeneratedRegex(@"\.Install\.v(\d+)\.sql$")]
    private static partial Regex InstallScript();
}
