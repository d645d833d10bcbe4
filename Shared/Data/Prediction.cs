using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One image put through an experiment's weights: asked by the Api, answered by a worker.</summary>
public sealed class Prediction : IEntityTypeConfiguration<Prediction>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }
    public required Guid ExperimentId { get; init; }

    /// <summary>The same for all images of one request; null where it had one.</summary>
    public Guid? BatchId { get; init; }

    public required PredictionStatus Status { get; set; }

    /// <summary>uint8 <c>[h, w, c]</c> of the model's input shape; emptied once answered.</summary>
    public required byte[] Pixels { get; set; }

    public required string FileName { get; init; }

    /// <summary>Per class in the data set version's order, 0 to 1.</summary>
    public double[]? Probabilities { get; set; }

    public string? Error { get; set; }

    /// <summary>By the database's clock: until when the worker that claimed it may be taken for alive.</summary>
    public DateTimeOffset? ClaimedUntil { get; set; }

    public int Attempts { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; set; }

    public void Configure(EntityTypeBuilder<Prediction> builder) => builder.ToTable("predictions");
}

public enum PredictionStatus
{
    Waiting,
    Running,
    Completed,
    Failed,
}
