using System.Net.Sockets;
using Microsoft.Extensions.Options;
using MlExperiments.Shared;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What must hold before the first request; what doesn't is said in one sentence instead of a stack trace.</summary>
internal static class StartUp
{
    /// <summary>Registers the database; returns what is wrong with its connection string, or null.</summary>
    public static string? TryAddDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        try
        {
            services.AddDatabase(configuration);
            return null;
        }
        catch (InvalidOperationException exception)
        {
            return exception.Message;
        }
    }

    /// <summary>The reason in one sentence if a setting caused the exception; null for an internal error.</summary>
    public static string? Reason(Exception exception) => StartUpError.OfSettings(exception) ?? exception switch
    {
        FormatException when exception.Message.StartsWith("Invalid url", StringComparison.Ordinal) => $"The address to listen on is no address. {exception.Message}",
        InvalidOperationException { Source: { } source } when source.StartsWith("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal)
            || source.StartsWith("Microsoft.Extensions.Logging", StringComparison.Ordinal) => $"A setting is wrong: {exception.Message.Split('\n')[0]}",
        // A port that is taken, an address that this machine doesn't have, a port that needs other rights.
        IOException or SocketException => $"The service can't listen there: {exception.Message}",
        _ => null,
    };

    /// <summary>Returns what keeps this build from serving, or null.</summary>
    public static async Task<string?> FindProblemAsync(IServiceProvider services)
    {
        await using var scope = services.CreateAsyncScope();
        try
        {
            if (await FindBlobProblemAsync(services) is { } problem)
                return problem;
            await Database.CheckVersionAsync(scope.ServiceProvider.GetRequiredService<ExperimentsDbContext>(), CancellationToken.None);
            await scope.ServiceProvider.GetRequiredService<TicketQueue>().CheckVersionAsync(CancellationToken.None);
            return null;
        }
        catch (SchemaVersionException exception)
        {
            return exception.Message;
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            return $"PostgreSQL can't be reached: {DatabaseErrors.Reason(exception)} Check ConnectionStrings__{Database.ConnectionName} and that the server runs.";
        }
    }

    private static async Task<string?> FindBlobProblemAsync(IServiceProvider services)
    {
        try
        {
            await services.GetRequiredService<IBlobStore>().ProbeAsync(CancellationToken.None);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            var folder = Path.GetFullPath(services.GetRequiredService<IOptions<BlobOptions>>().Value.Folder);
            return $"The folder for blobs, {folder}, can't be used: {exception.Message} Set {BlobOptions.Section}__{nameof(BlobOptions.Folder)} to one that the service may write to.";
        }
    }
}
