using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What must hold before the first request; what doesn't is said in one sentence instead of a stack trace.</summary>
internal static class StartUp
{
    /// <summary>Returns what the configuration lacks, or null.</summary>
    public static string? FindMissingSetting(IConfiguration configuration) =>
        string.IsNullOrWhiteSpace(configuration.GetConnectionString(Database.ConnectionName))
            ? $"There is no database to connect to: set ConnectionStrings__{Database.ConnectionName}, for example to \"Host=127.0.0.1;Database=mlexperiments;Username=mlexperiments\"."
            : null;

    /// <summary>Returns what keeps this build from serving, or null.</summary>
    public static async Task<string?> FindProblemAsync(IServiceProvider services)
    {
        await using var scope = services.CreateAsyncScope();
        try
        {
            ImageDecoder.EnsureAvailable();
            await Database.CheckVersionAsync(scope.ServiceProvider.GetRequiredService<ExperimentsDbContext>(), CancellationToken.None);
            await scope.ServiceProvider.GetRequiredService<IJobQueue>().CheckVersionAsync(CancellationToken.None);
            return null;
        }
        catch (Exception exception) when (exception is SchemaVersionException or ImageLibraryMissingException)
        {
            return exception.Message;
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            return $"PostgreSQL can't be reached: {DatabaseErrors.Reason(exception)} Check ConnectionStrings__{Database.ConnectionName} and that the server runs.";
        }
    }

    /// <summary>Says why there is no service; the exit code of the process.</summary>
    public static int Refuse(string reason)
    {
        Console.Error.WriteLine(reason);
        return 1;
    }
}
