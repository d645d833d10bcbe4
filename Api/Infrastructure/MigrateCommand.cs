using MlExperiments.Shared;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <summary><c>Api migrate</c>: brings the database to this build's schema, with Hangfire's tables. It can be run again at any time.</summary>
internal static class MigrateCommand
{
    /// <param name="settings">Configuration as <c>--Section:Key=value</c>.</param>
    /// <returns>The exit code: 0 when the database is ready for this build.</returns>
    public static async Task<int> RunAsync(string[] settings)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { Args = settings, ContentRootPath = AppContext.BaseDirectory });
        if (builder.Services.TryAddDatabase(builder.Configuration) is { } wrong)
            return StartUpError.Report(wrong);
        using var host = builder.Build();
        await using var scope = host.Services.CreateAsyncScope();
        try
        {
            await Database.MigrateAsync(scope.ServiceProvider.GetRequiredService<ExperimentsDbContext>(), CancellationToken.None);
            await TicketQueue.MigrateAsync(scope.ServiceProvider.GetRequiredService<NpgsqlDataSource>(), CancellationToken.None);
            Console.WriteLine($"The database is ready (jobs: {TicketQueue.Engine}).");
            return 0;
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            return StartUpError.Report(
                $"PostgreSQL can't be reached: {DatabaseErrors.Reason(exception)} Check ConnectionStrings__{Database.ConnectionName} and that the server runs.");
        }
        catch (PostgresException exception)
        {
            return StartUpError.Report($"The database can't be migrated: {exception.MessageText}.");
        }
    }
}
