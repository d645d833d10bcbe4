using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One request to explore: a search space, a strategy and limits; it owns experiments.</summary>
public sealed class Study : IEntityTypeConfiguration<Study>
{
    public const int MaxNameLength = 200;
    public const int MaxRunning = 1000;
    public const int MaxSeconds = 365 * 24 * 3600;
    public const int MaxFailures = 10_000;

    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }
    public required Guid DataSetVersionId { get; init; }
    public required string Name { get; set; }

    /// <summary>The request as it was understood: space, fixed parameters, strategy, objective, limits, start, replicates, priority.</summary>
    public required JsonElement Definition { get; init; }

    /// <summary>The most of its trajectories that train at a time, 1 to 1,000; null for any number.</summary>
    public int? RunningLimit { get; init; }

    /// <summary>Wall time from the start of its first training on, after which it is stopped: seconds.</summary>
    public int? SecondsLimit { get; init; }

    /// <summary>How many of its experiments have failed when it is stopped.</summary>
    public int? FailuresLimit { get; init; }

    /// <summary>When a limit stopped it: what was queued or running then was cancelled. That happens once; what is tried again later goes on.</summary>
    public DateTimeOffset? StoppedAt { get; init; }

    public string? StopReason { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public void Configure(EntityTypeBuilder<Study> builder)
    {
        builder.ToTable("studies");
        builder.Property(study => study.Definition).HasColumnType("json");
    }
}
