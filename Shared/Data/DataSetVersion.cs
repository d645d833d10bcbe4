using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>
/// A model's images as they were when experiments were generated. The manifest lists the rows and where their bytes are, so
/// that relabelling or removing images later changes no experiment.
/// </summary>
public sealed class DataSetVersion : IEntityTypeConfiguration<DataSetVersion>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }

    /// <summary>SHA-256 over the resolved (image hash, label, split) rows, 64 lower-case hex digits.</summary>
    public required string Hash { get; init; }

    /// <summary>The blob of the manifest, 64 lower-case hex digits.</summary>
    public required string ManifestBlob { get; init; }

    /// <summary>The blob of the packed data set, once a worker has made it.</summary>
    public string? PackedBlob { get; set; }

    /// <summary>The class names; a label's index in training is its place here.</summary>
    public required string[] Classes { get; init; }

    public required int TrainCount { get; init; }
    public required int ValidationCount { get; init; }
    public required int TestCount { get; init; }

    /// <summary>The experiment with the best validation accuracy; ties go to fewer steps, then to the lower number.</summary>
    public Guid? BestExperimentId { get; set; }

    public required DateTimeOffset CreatedAt { get; init; }

    public void Configure(EntityTypeBuilder<DataSetVersion> builder) => builder.ToTable("data_set_versions");
}
