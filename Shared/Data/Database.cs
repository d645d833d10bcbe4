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

    /// <summary>
    /// A program that vanished without a word, as with its machine's power, is found by the server within half a minute: its locks would
    /// else stay for hours.
    /// </summary>
    private const string SilentClients =
        "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30000 -c idle_in_transaction_session_timeout=30000";

    /// <summary>The advisory lock that all who migrate agree on.</summary>
    private const long MigrationLock = 0x4d4c4578_4d696772;

    public static IServiceCollection AddDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        var connectionString = Settings(configuration).ConnectionString;
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
    /// A connection of its own, for what would occupy one of the pool's for long: not open yet. While it is waited on without a time-out, keep-alive
    /// finds a server that went away in silence.
    /// </summary>
    public static NpgsqlConnection NewConnection(IConfiguration configuration)
    {
        var settings = Settings(configuration);
        settings.Pooling = false;
        settings.KeepAlive = 15;
        return new NpgsqlConnection(settings.ConnectionString);
    }

    /// <summary>Opens a connection that hears a notification channel: to be waited on, or nothing is heard.</summary>
    /// <param name="hear">Called for each notification, with its payload, while the connection is waited on.</param>
    public static async Task<NpgsqlConnection> ListenAsync(
        IConfiguration configuration, string channel, Action<string>? hear, CancellationToken cancellationToken)
    {
        var connection = NewConnection(configuration);
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

    /// <summary>The connection string, with what finds a peer that went away in silence unless it says otherwise.</summary>
    private static NpgsqlConnectionStringBuilder Settings(IConfiguration configuration)
    {
        var connectionString = configuration.GetConnectionString(ConnectionName);
        if (string.IsNullOrWhiteSpace(connectionString))
            throw new InvalidOperationException(
                $"There is no database to connect to: set ConnectionStrings__{ConnectionName}, for example to \"Host=127.0.0.1;Database=mlexperiments;Username=mlexperiments\".");

        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            throw new InvalidOperationException($"ConnectionStrings__{ConnectionName} is no connection string: {exception.Message}", exception);
        }

        // Hangfire connects again by the connection string of an open connection, which otherwise lacks the password.
        settings.PersistSecurityInfo = true;
        if (string.IsNullOrEmpty(settings.Options))
            settings.Options = SilentClients;
        // A Unix domain socket has no such setting, and no silence.
        if (settings is { TcpKeepAliveTime: 0, TcpKeepAliveInterval: 0, Host: { } host } && !host.Contains('/'))
            (settings.TcpKeepAliveTime, settings.TcpKeepAliveInterval) = (15, 5);
        return settings;
    }
}

public sealed class SchemaVersionException(string message) : Exception(message);
