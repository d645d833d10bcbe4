using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One request to explore: a search space, a strategy and limits; it owns experiments.</summary>
public sealed class Study : IEntityTypeConfiguration<Study>
{
    public const int MaxNameLength = 200;
    public const int MaxRunning = 1000;

    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }
    public required Guid DataSetVersionId { get; init; }
    public required string Name { get; set; }

    /// <summary>The request as it was understood: space, fixed parameters, strategy, objective, limits, start.</summary>
    public required JsonElement Definition { get; init; }

    /// <summary>The most of its trajectories that train at a time, 1 to 1,000; null for any number.</summary>
    public int? RunningLimit { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public void Configure(EntityTypeBuilder<Study> builder)
    {
        builder.ToTable("studies");
        builder.Property(study => study.Definition).HasColumnType("json");
    }
}
