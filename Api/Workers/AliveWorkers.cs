namespace MlExperiments.Api.Workers;

/// <summary>Which workers count as alive: those that are not stopped and were seen a short while ago, by the database's clock.</summary>
internal static class AliveWorkers
{
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(30);

    /// <summary>For sentences.</summary>
    public static string SilenceInWords { get; } = $"{Silence.TotalSeconds:0} seconds";
}
