using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace MlExperiments.Shared.Data;

/// <summary>How the programs reach PostgreSQL: one data source and pool a process, named by <c>ConnectionStrings:Database</c>.</summary>
public static class Database
{
    public const string ConnectionName = "Database";

    /// <summary>The advisory lock that all who migrate agree on.</summary>
    private const long MigrationLock = 0x4d4c4578_4d696772;

    public static IServiceCollection AddDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        var connectionString = configuration.GetConnectionString(ConnectionName);
        if (string.IsNullOrWhiteSpace(connectionString))
            throw new InvalidOperationException(
                $"There is no database to connect to: set ConnectionStrings__{ConnectionName}, for example to \"Host=127.0.0.1;Database=mlexperiments;Username=mlexperiments\".");

        services.AddSingleton(_ => NpgsqlDataSource.Create(connectionString));
        services.AddSingleton<DbDataSource>(provider => provider.GetRequiredService<NpgsqlDataSource>());
        services.AddPooledDbContextFactory<ExperimentsDbContext>(
            (provider, options) => options.UseNpgsql(
                provider.GetRequiredService<NpgsqlDataSource>(),
                npgsql => npgsql.EnableRetryOnFailure(maxRetryCount: 3)));
        services.AddScoped(provider => provider.GetRequiredService<IDbContextFactory<ExperimentsDbContext>>().CreateDbContext());
        return services;
    }

    /// <summary>
    /// Opens a connection that hears a notification channel. It is not one of the pool's, which it would occupy for ever; keep-alive
    /// finds a server that went away in silence.
    /// </summary>
    /// <param name="hear">Called for each notification, with its payload, while the connection is waited on.</param>
    public static async Task<NpgsqlConnection> ListenAsync(
        IConfiguration configuration, string channel, Action<string>? hear, CancellationToken cancellationToken)
    {
        var settings = new NpgsqlConnectionStringBuilder(configuration.GetConnectionString(ConnectionName)) { Pooling = false, KeepAlive = 30 };
        var connection = new NpgsqlConnection(settings.ConnectionString);
        try
        {
            if (hear is not null)
                connection.Notification += (_, notification) => hear(notification.Payload);
            await connection.OpenAsync(cancellationToken);
            await using var listen = new NpgsqlCommand($"LISTEN {channel}", connection);
            await listen.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Brings the schema to this build's version; safe to run from several processes at once.</summary>
    public static async Task MigrateAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var creator = db.GetService<IRelationalDatabaseCreator>();
        if (!await creator.ExistsAsync(cancellationToken))
            await creator.CreateAsync(cancellationToken);
        await db.Database.OpenConnectionAsync(cancellationToken);
        try
        {
            // EF's own lock ends with each migration: who waited for it would go on with those that another process has run meanwhile.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_lock({MigrationLock})", cancellationToken);
            await db.Database.MigrateAsync(cancellationToken);
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_unlock({MigrationLock})", cancellationToken);
        }
        finally
        {
            await db.Database.CloseConnectionAsync();
        }
    }

    /// <summary>Refuses to run on another schema than this build's.</summary>
    /// <exception cref="SchemaVersionException">The schema is older or newer, or there is none.</exception>
    public static async Task CheckVersionAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var known = db.Database.GetMigrations().ToList();
        var applied = (await db.Database.GetAppliedMigrationsAsync(cancellationToken)).ToList();
        if (known.Except(applied).ToList() is [_, ..] missing)
            throw new SchemaVersionException($"The database lacks the migrations {string.Join(", ", missing)}: run the migrate command first.");
        if (applied.Except(known).ToList() is [_, ..] newer)
            throw new SchemaVersionException($"The database is newer than this program (it has {string.Join(", ", newer)}): update the program.");
    }
}

public sealed class SchemaVersionException(string message) : Exception(message);
