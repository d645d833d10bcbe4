using MlExperiments.Shared.Imaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>A named learning problem: its images, classes and input size.</summary>
public sealed class Model : IEntityTypeConfiguration<Model>
{
    public const int MaxNameLength = 200;

    public Guid Id { get; init; } = Guid.CreateVersion7();

    /// <summary>Unique among all models, without regard to case.</summary>
    public required string Name { get; set; }

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
