using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>A completed experiment's measurement by class. One that was completed before these were kept has none.</summary>
public sealed class ExperimentClasses : IEntityTypeConfiguration<ExperimentClasses>
{
    public required Guid ExperimentId { get; init; }

    /// <summary><see cref="Contracts.ClassMeasurement"/> on the validation split.</summary>
    public required JsonElement Validation { get; init; }

    /// <summary>The same on the test split; null where there is none.</summary>
    public JsonElement? Test { get; init; }

    public void Configure(EntityTypeBuilder<ExperimentClasses> builder)
    {
        builder.ToTable("experiment_classes");
        builder.HasKey(classes => classes.ExperimentId);
        builder.Property(classes => classes.Validation).HasColumnType("jsonb");
        builder.Property(classes => classes.Test).HasColumnType("jsonb");
    }
}
