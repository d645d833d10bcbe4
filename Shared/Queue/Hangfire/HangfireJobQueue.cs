using System.Globalization;
using System.Text.RegularExpressions;
using System.Transactions;
using Hangfire;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Hangfire.States;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Shared.Queue.Hangfire;

/// <summary>Tickets as jobs of one Hangfire queue on PostgreSQL, whose long polling wakes a worker within milliseconds.</summary>
internal sealed partial class HangfireJobQueue(IServiceProvider services, NpgsqlDataSource dataSource) : IJobQueue
{
    internal const string QueueName = "tickets";
    private const string SchemaName = "hangfire";

    /// <summary>The advisory lock that all migrations of Hangfire's schema agree on.</summary>
    private const long MigrationLock = 0x4d4c4578_48616e67;

    // A ticket whose worker died is handed out again after this; a running one is kept from that by Hangfire's heartbeat.
    private static readonly TimeSpan InvisibilityTimeout = TimeSpan.FromMinutes(1);

    public string Engine { get; } = $"Hangfire {typeof(JobStorage).Assembly.GetName().Version?.ToString(3)}";

    internal static PostgreSqlStorageOptions NewStorageOptions(bool createTables) => new()
    {
        SchemaName = SchemaName,
        PrepareSchemaIfNecessary = createTables,
        EnableLongPolling = true,
        // For a notification that got lost.
        QueuePollInterval = TimeSpan.FromSeconds(5),
        UseSlidingInvisibilityTimeout = true,
        InvisibilityTimeout = InvisibilityTimeout,
    };

    public Task EnqueueAsync(ExperimentsDbContext db, int count, CancellationToken cancellationToken)
    {
        if (Transaction.Current is null)
            throw new InvalidOperationException($"Tickets are enqueued inside {nameof(Transactions.TransactAsync)}, together with the rows that they are for.");
        if (count <= 0)
            return Task.CompletedTask;

        // Over the caller's connection, which is open and enlisted: a second one would make the transaction a distributed one.
        var options = NewStorageOptions(createTables: false);
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        var client = new BackgroundJobClient(new PostgreSqlStorage(new ExistingNpgsqlConnectionFactory(connection, options), options));
        for (var ticket = 0; ticket < Math.Min(count, IJobQueue.MaxTicketsPerTransaction); ticket++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            client.Create<TicketJob>(job => job.RunAsync(CancellationToken.None), new EnqueuedState(QueueName));
        }

        return Task.CompletedTask;
    }

    public async Task<int> CountWaitingAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            $"SELECT count(*) FROM {SchemaName}.jobqueue WHERE queue = $1 AND (fetchedat IS NULL OR fetchedat < now() - $2)");
        command.Parameters.AddWithValue(QueueName);
        command.Parameters.AddWithValue(InvisibilityTimeout);
        return (int)(long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Creates or updates the tables as the storage is created (see <see cref="JobQueueServices"/>), one process at a time.</summary>
    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await LockAsync("pg_advisory_lock");
        services.GetRequiredService<JobStorage>();
        await LockAsync("pg_advisory_unlock");

        async Task LockAsync(string function)
        {
            await using var command = new NpgsqlCommand($"SELECT {function}({MigrationLock})", connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    public async Task CheckVersionAsync(CancellationToken cancellationToken)
    {
        int? version = null;
        try
        {
            await using var command = dataSource.CreateCommand($"SELECT max(version) FROM {SchemaName}.schema");
            version = await command.ExecuteScalarAsync(cancellationToken) as int?;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName)
        {
            // There is none.
        }

        if (version is null || version < KnownVersion())
            throw new SchemaVersionException("The database lacks the job queue's tables, or has older ones: run the migrate command first.");
    }

    /// <summary>The newest of the install scripts that Hangfire.PostgreSql carries.</summary>
    private static int KnownVersion() => typeof(PostgreSqlStorage).Assembly.GetManifestResourceNames()
        .Select(name => InstallScript().Match(name))
        .Where(match => match.Success)
        .Max(match => int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture));

    [GeneratedRegex(@"\.Install\.v(\d+)\.sql$")]
    private static partial Regex InstallScript();
}
