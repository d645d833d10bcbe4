using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace MlExperiments.Testing;

/// <summary>
/// A fresh database on a real PostgreSQL server, migrated, and dropped at the end. The server is named by
/// <c>MLEXPERIMENTS_TEST_POSTGRES</c> (tests/run.sh starts one); without it every test that needs it fails.
/// </summary>
public sealed class TestDatabase : IAsyncDisposable
{
    public const string ServerVariable = "MLEXPERIMENTS_TEST_POSTGRES";

    /// <summary>The name of a migrated database that others are copies of: a copy takes a fraction of a migration's time.</summary>
    private static readonly Lazy<Task<string>> Template = new(CreateTemplateAsync);

    private readonly bool _isDropped;

    private TestDatabase(string connectionString, bool isDropped)
    {
        ConnectionString = connectionString;
        DataSource = NpgsqlDataSource.Create(connectionString);
        _isDropped = isDropped;
    }

    public string ConnectionString { get; }
    public NpgsqlDataSource DataSource { get; }

    private string Name => new NpgsqlConnectionStringBuilder(ConnectionString).Database!;

    public static string Server =>
        Environment.GetEnvironmentVariable(ServerVariable)
        ?? throw new InvalidOperationException(
            $"{ServerVariable} is not set: run tests/run.sh, or name a PostgreSQL 15 server, for example \"Host=127.0.0.1;Port=5432;Username=postgres\".");

    /// <summary>Creates an empty database.</summary>
    /// <param name="server">Another server, which goes with all of its databases at the end; they are not dropped one by one.</param>
    public static Task<TestDatabase> CreateEmptyAsync(PrivatePostgres? server = null) => CreateAsync(server, "");

    /// <summary>Creates a database with the product's schema and Hangfire's.</summary>
    /// <inheritdoc cref="CreateEmptyAsync"/>
    public static async Task<TestDatabase> CreateAsync(PrivatePostgres? server = null)
    {
        if (server is null)
            return await CreateAsync(server, $"TEMPLATE {await Template.Value}");
        var database = await CreateEmptyAsync(server);
        await database.MigrateAsync();
        return database;
    }

    public ExperimentsDbContext NewContext() =>
        new(new DbContextOptionsBuilder<ExperimentsDbContext>().UseNpgsql(DataSource, npgsql => npgsql.EnableRetryOnFailure(3)).Options);

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        if (_isDropped)
            await ExecuteAsync(Server, $"DROP DATABASE IF EXISTS {Name} WITH (FORCE)");
    }

    private static async Task<TestDatabase> CreateAsync(PrivatePostgres? server, string options)
    {
        var name = $"test_{Guid.NewGuid():N}";
        var on = server?.ConnectionString ?? Server;
        await ExecuteAsync(on, $"CREATE DATABASE {name} {options}");
        return new TestDatabase(new NpgsqlConnectionStringBuilder(on) { Database = name, MaxPoolSize = 20, Timeout = 60 }.ConnectionString, isDropped: server is null);
    }

    private static async Task<string> CreateTemplateAsync()
    {
        var database = await CreateEmptyAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => database.DisposeAsync().AsTask().GetAwaiter().GetResult();
        await database.MigrateAsync();
        // PostgreSQL copies no database that somebody is connected to.
        database.DataSource.Clear();
        return database.Name;
    }

    private async Task MigrateAsync()
    {
        await using var db = NewContext();
        await Database.MigrateAsync(db, CancellationToken.None);
        await TicketQueue.MigrateAsync(DataSource, CancellationToken.None);
    }

    private static async Task ExecuteAsync(string server, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(server) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
