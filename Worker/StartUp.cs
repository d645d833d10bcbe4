using System.ComponentModel;
using Microsoft.Extensions.Logging;
using MlExperiments.Shared;
using MlExperiments.Shared.Data;
using MlExperiments.Worker.Slots;
using Npgsql;

namespace MlExperiments.Worker;

/// <summary>What must hold before the first claim.</summary>
internal static partial class StartUp
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>Returns once the database can be reached: a worker may be started before it. One that refuses is no use waiting for.</summary>
    public static async Task WaitForDatabaseAsync(NpgsqlDataSource database, ILogger logger)
    {
        var isWaiting = false;
        while (true)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync();
                if (isWaiting)
                    LogReached(logger);
                return;
            }
            catch (Exception exception) when (exception is TimeoutException or NpgsqlException { IsTransient: true })
            {
                if (!isWaiting)
                    LogWaits(logger, Reason(exception) ?? exception.Message);
                isWaiting = true;
            }

            await Task.Delay(RetryAfter);
        }
    }

    /// <summary>One line for errors in settings, folders, programs and servers; null for an internal error.</summary>
    public static string? Reason(Exception exception) => StartUpError.OfSettings(exception) ?? exception switch
    {
        TrainerDiedException died => died.Summary,
        PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } missing => $"There is no such database ({missing.MessageText}): run the migrate command first.",
        NpgsqlException { InnerException: { } inner } => $"{exception.Message}: {inner.Message}",
        NpgsqlException or SchemaVersionException or InvalidOperationException or ArgumentException or FormatException
            or IOException or UnauthorizedAccessException or TimeoutException or Win32Exception => exception.Message,
        _ => null,
    };

    [LoggerMessage(LogLevel.Warning, "PostgreSQL can't be reached, and is waited for: {Reason}")]
    private static partial void LogWaits(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information, "PostgreSQL can be reached now")]
    private static partial void LogReached(ILogger logger);
}
