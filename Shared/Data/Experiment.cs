using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One set of parameters and what came of it: a milestone on a trajectory.</summary>
public sealed class Experiment : IEntityTypeConfiguration<Experiment>
{
    public const int MaxNameLength = 200;

    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }
    public required Guid StudyId { get; init; }
    public required Guid TrajectoryId { get; init; }

    /// <summary>1, 2, ... within the model.</summary>
    public required int Number { get; init; }

    public required string Name { get; set; }

    /// <summary>Limited as a model's are, like the notes.</summary>
    public string[] Tags { get; set; } = [];

    public string? Notes { get; set; }
    public required ExperimentStatus Status { get; set; }

    /// <summary><see cref="Contracts.ExperimentParameters"/>.</summary>
    public required JsonElement Parameters { get; init; }

    /// <summary>SHA-256 over data set version and parameters, lower-case hex: the same experiment is never generated twice.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The step at which it is measured.</summary>
    public required int TotalSteps { get; init; }

    /// <summary>Higher is trained earlier.</summary>
    public int Priority { get; set; }

    /// <summary>Not trained before this time; null is at once.</summary>
    public DateTimeOffset? StartAt { get; set; }

    /// <summary>The step that its trajectory had reached when it was paused or cancelled; null where it had not begun, and otherwise.</summary>
    public int? StoppedAtStep { get; set; }

    /// <summary><see cref="Adjustment"/> that waits for the next step boundary.</summary>
    public JsonElement? Adjustment { get; set; }

    // The measurement at TotalSteps; see MilestoneEvent for units and ranges.
    public double? Accuracy { get; set; }
    public double? TestAccuracy { get; set; }
    public double? Loss { get; set; }
    public double? MeanSquaredError { get; set; }
    public bool Diverged { get; set; }

    /// <summary>Patience ran out before TotalSteps.</summary>
    public bool StoppedEarly { get; set; }

    /// <summary>The last step that was trained, where that is not TotalSteps: it diverged, or was stopped early.</summary>
    public int? EndedAtStep { get; set; }

    /// <summary>False where it trained on a GPU, or went on from a checkpoint of another engine, version, device or kind of CPU, or with points another distance apart.</summary>
    public bool Reproducible { get; set; } = true;

    /// <summary>The blob of the weights (safetensors), 64 lower-case hex digits.</summary>
    public string? WeightsBlob { get; set; }

    /// <summary>SHA-256 over the weights' values alone: equal for equal results.</summary>
    public string? WeightsHash { get; set; }

    /// <summary>Training time from step 0 to TotalSteps, whoever paid for it.</summary>
    public double? DurationSeconds { get; set; }

    /// <summary>The part of the duration that was trained before, for another experiment on the same trajectory.</summary>
    public double? SavedSeconds { get; set; }

    /// <summary>Name of the worker that trained or trains it.</summary>
    public string? Worker { get; set; }

    public string? Error { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? QueuedAt { get; set; }

    /// <summary>When a trainer had its data loaded and began the first step of its first attempt.</summary>
    public DateTimeOffset? StartedAt { get; set; }

    public DateTimeOffset? FinishedAt { get; set; }

    /// <summary>When the row changed last, by the database's clock, which alone writes it.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    public Trajectory? Trajectory { get; init; }

    public void Configure(EntityTypeBuilder<Experiment> builder)
    {
        builder.ToTable("experiments");
        builder.Property(experiment => experiment.Parameters).HasColumnType("jsonb");
        builder.Property(experiment => experiment.ChangedAt).Metadata.SetBeforeSaveBehavior(PropertySaveBehavior.Ignore);
        builder.Property(experiment => experiment.Adjustment).HasColumnType("jsonb");
        builder.HasOne(experiment => experiment.Trajectory).WithMany(trajectory => trajectory.Experiments)
            .HasForeignKey(experiment => experiment.TrajectoryId);
    }
}
