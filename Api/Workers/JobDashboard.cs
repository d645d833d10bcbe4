using Hangfire;

namespace MlExperiments.Api.Workers;

/// <summary>Hangfire's dashboard, read-only: the tickets, for whoever may call the API.</summary>
internal static class JobDashboard
{
    /// <summary>Guarded like the API itself.</summary>
    public const string Path = "/hangfire";

    public static void MapJobDashboard(this IEndpointRouteBuilder routes)
    {
        routes.MapHangfireDashboard(Path, new DashboardOptions
        {
            DashboardTitle = "ML Experiments: tickets",
            AppPath = "/",
            // Access control has decided already who comes this far.
            Authorization = [],
            // Tickets follow the experiments: there is nothing to do to them.
            IsReadOnlyFunc = _ => true,
            DisplayStorageConnectionString = false,
        });
    }
}
