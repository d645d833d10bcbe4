using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Worker.Housekeeping;

/// <summary>How long is kept what nothing needs.</summary>
public sealed class HousekeepingOptions
{
    public const string Section = "Housekeeping";

    /// <summary>Time between two rounds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan Every { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Files that no row names stay for so long after they were stored, and packs after their last image is gone: longer than any upload or
    /// backup takes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// Checkpoints of trajectories on which nothing is queued, paused or running; a later experiment with more steps goes on from the newest.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "3650.00:00:00")]
    public TimeSpan KeepCheckpoints { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Predictions that are answered.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "3650.00:00:00")]
    public TimeSpan KeepPredictions { get; set; } = TimeSpan.FromDays(30);
}
