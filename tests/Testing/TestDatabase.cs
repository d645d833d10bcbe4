using MlExperiments.Shared.Data;
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

    private TestDatabase(string connectionString, NpgsqlDataSource dataSource)
    {
        ConnectionString = connectionString;
        DataSource = dataSource;
    }

    public string ConnectionString { get; }
    public NpgsqlDataSource DataSource { get; }

    public static string Server =>
        Environment.GetEnvironmentVariable(ServerVariable)
        ?? throw new InvalidOperationException(
            $"{ServerVariable} is not set: run tests/run.sh, or name a PostgreSQL 15 server, for example \"Host=127.0.0.1;Port=5432;Username=postgres\".");

    /// <summary>Creates an empty database.</summary>
    public static async Task<TestDatabase> CreateEmptyAsync()
    {
        var name = $"test_{Guid.NewGuid():N}";
        await ExecuteOnServerAsync($"CREATE DATABASE {name}");
        var connectionString = new NpgsqlConnectionStringBuilder(Server) { Database = name, MaxPoolSize = 20 }.ConnectionString;
        return new TestDatabase(connectionString, NpgsqlDataSource.Create(connectionString));
    }

    /// <summary>Creates a database with the product's schema (without the job engine's).</summary>
    public static async Task<TestDatabase> CreateAsync()
    {
        var database = await CreateEmptyAsync();
        await using var db = database.NewContext();
        await Database.MigrateAsync(db, CancellationToken.None);
        return database;
    }

    public ExperimentsDbContext NewContext() =>
        new(new DbContextOptionsBuilder<ExperimentsDbContext>().UseNpgsql(DataSource, npgsql => npgsql.EnableRetryOnFailure(3)).Options);

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        var name = new NpgsqlConnectionStringBuilder(ConnectionString).Database;
        await ExecuteOnServerAsync($"DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    }

    private static async Task ExecuteOnServerAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(Server) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
