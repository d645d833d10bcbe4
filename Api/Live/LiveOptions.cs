using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Live;

/// <summary>Event streams: how many, and how they are kept open.</summary>
public sealed class LiveOptions
{
    public const string Section = "Live";

    /// <summary>The most streams at a time, 0 to 100,000.</summary>
    [Range(0, 100_000)]
    public int MaxListeners { get; set; } = 1000;

    /// <summary>The longest silence of a stream; proxies close those that are silent for long.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan HeartbeatEvery { get; set; } = TimeSpan.FromSeconds(15);
}
