using MlExperiments.Shared.Imaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>A named learning problem: its images, classes and input size.</summary>
public sealed class Model : IEntityTypeConfiguration<Model>
{
    public const int MaxNameLength = 200;
    public const int MaxNotesLength = 10_000;
    public const int MaxTags = 20;
    public const int MaxTagLength = 50;

    public Guid Id { get; init; } = Guid.CreateVersion7();

    /// <summary>Unique among all models, without regard to case.</summary>
    public required string Name { get; set; }

    /// <summary>What people want to remember of it, with line breaks; null where there is nothing.</summary>
    public string? Notes { get; set; }

    /// <summary>In the order in which they were given, each once without regard to case.</summary>
    public string[] Tags { get; set; } = [];

    /// <summary>Pixels, 8 to 224.</summary>
    public required int InputWidth { get; init; }

    /// <summary>Pixels, 8 to 224.</summary>
    public required int InputHeight { get; init; }

    /// <summary>1 (grey) or 3 (red, green, blue).</summary>
    public required int InputChannels { get; init; }

    /// <summary>Which trainer trains its trajectories; a worker claims only those of trainers that it has.</summary>
    public string Trainer { get; init; } = BuiltInTrainer;

    /// <summary>The number that the model's next experiment gets; numbers begin at 1 and are never used twice.</summary>
    public int NextExperimentNumber { get; set; } = 1;

    /// <summary>Since when it takes no new images and experiments; null while it does.</summary>
    public DateTimeOffset? ArchivedAt { get; set; }

    /// <summary>Its deletion has begun: what is left of it is nothing to work with.</summary>
    public bool IsBeingDeleted { get; init; }

    /// <summary>Grows in every transaction that adds, changes or removes images of the model, which updates this row before those.</summary>
    public long ImagesRevision { get; set; }

    /// <summary>The revision whose images <see cref="DataSetHash"/> is of; it is fresh while the two are equal.</summary>
    public long? HashedRevision { get; set; }

    /// <summary>What <see cref="DataSetVersion.Hash"/> of a version of these images is; null where they can't be trained on.</summary>
    public string? DataSetHash { get; set; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The trainer that comes with the product.</summary>
    public const string BuiltInTrainer = "torch";

    public ImageShape InputShape => new(InputWidth, InputHeight, InputChannels);

    public void Configure(EntityTypeBuilder<Model> builder)
    {
        builder.ToTable("models");
        builder.Ignore(model => model.InputShape);
        builder.Property(model => model.Name).HasMaxLength(MaxNameLength);
    }
}
