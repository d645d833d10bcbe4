using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>
/// One training: everything but the number of steps. Its experiments are the milestones at which it is measured. Only the
/// holder of the current fence writes what comes of it.
/// </summary>
public sealed class Trajectory : IEntityTypeConfiguration<Trajectory>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }
    public required Guid DataSetVersionId { get; init; }

    /// <summary>A worker claims only what one of its trainers can train.</summary>
    public required string Trainer { get; init; }

    /// <summary><see cref="Contracts.TrajectoryParameters"/>.</summary>
    public required JsonElement Parameters { get; init; }

    /// <summary>SHA-256 over data set version and parameters, lower-case hex.</summary>
    public required string Fingerprint { get; init; }

    public required TrajectoryStatus Status { get; set; }

    /// <summary>Higher is claimed earlier; then the one that waits longest.</summary>
    public int Priority { get; set; }

    public DateTimeOffset? WaitingSince { get; set; }

    /// <summary>Not claimed before this time: the earliest of its queued experiments'.</summary>
    public DateTimeOffset? StartAt { get; set; }

    /// <summary>Grows whenever what is wanted of a running trajectory changes.</summary>
    public long Control { get; set; }

    /// <summary>The trajectory whose first steps it shares, if it was made by an adjustment.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>How many steps those are.</summary>
    public int? ForkedAtStep { get; init; }

    /// <summary>Grows by one with each claim and each loss; every write of a worker names the one that it was given.</summary>
    public long Fence { get; set; }

    /// <summary>By the database's clock: until when the holder may be taken for alive.</summary>
    public DateTimeOffset? LeaseUntil { get; set; }

    public Guid? WorkerId { get; set; }

    /// <summary>The step that the current or last attempt has reached.</summary>
    public int Step { get; set; }

    /// <summary>Passes over the training split at <see cref="Step"/>.</summary>
    public double Epoch { get; set; }

    public double StepsPerSecond { get; set; }

    /// <summary>Cross entropy of the last batch, in nats.</summary>
    public double? Loss { get; set; }

    /// <summary>Attempts that were lost one after another, without a checkpoint or milestone in between.</summary>
    public int LostAttempts { get; set; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its status or progress changed last, by the database's clock, which alone writes it.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    public List<Experiment> Experiments { get; } = [];

    public void Configure(EntityTypeBuilder<Trajectory> builder)
    {
        builder.ToTable("trajectories");
        builder.Property(trajectory => trajectory.Parameters).HasColumnType("jsonb");
        builder.Property(trajectory => trajectory.ChangedAt).Metadata.SetBeforeSaveBehavior(PropertySaveBehavior.Ignore);
    }
}

public enum TrajectoryStatus
{
    /// <summary>No experiment of it is queued.</summary>
    Idle,

    /// <summary>Some experiment of it is queued and no worker trains it.</summary>
    Waiting,

    /// <summary>A worker holds its lease.</summary>
    Running,
}

/// <summary>One time that a worker trained a trajectory.</summary>
public sealed class Attempt : IEntityTypeConfiguration<Attempt>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid TrajectoryId { get; init; }

    /// <summary>The fence that the claim gave out.</summary>
    public required long Fence { get; init; }

    public required Guid WorkerId { get; init; }

    /// <summary>Name of the worker, kept when its row is gone.</summary>
    public required string WorkerName { get; init; }

    /// <summary>The step that it went on from; until it begins, the one that the attempt before had reached.</summary>
    public required int FromStep { get; set; }

    public int? ToStep { get; set; }
    public required DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; set; }
    public AttemptOutcome? Outcome { get; set; }
    public string? Error { get; set; }

    public void Configure(EntityTypeBuilder<Attempt> builder) => builder.ToTable("attempts");
}

/// <summary>Why an attempt ended.</summary>
public enum AttemptOutcome
{
    /// <summary>All its milestones are measured.</summary>
    Completed,

    /// <summary>Nothing more was wanted of it: paused, cancelled or adjusted. A checkpoint was written.</summary>
    Stopped,

    /// <summary>The worker was asked to stop; a checkpoint was written.</summary>
    Drained,

    /// <summary>The trainer said that it can't be trained.</summary>
    Failed,

    /// <summary>The trainer died or stopped answering.</summary>
    Crashed,

    /// <summary>The lease ran out.</summary>
    Lost,
}

/// <summary>Weights, optimizer state and step: enough to go on.</summary>
public sealed class Checkpoint : IEntityTypeConfiguration<Checkpoint>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid TrajectoryId { get; init; }
    public required int Step { get; init; }
    public required string BlobHash { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    /// <summary>Training time from step 0.</summary>
    public required double TrainSeconds { get; init; }

    public required string Engine { get; init; }
    public required string EngineVersion { get; init; }
    public required string Device { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    public void Configure(EntityTypeBuilder<Checkpoint> builder) => builder.ToTable("checkpoints");
}

/// <summary>One point of one curve of a trajectory.</summary>
public sealed class MetricPoint : IEntityTypeConfiguration<MetricPoint>
{
    public required Guid TrajectoryId { get; init; }

    /// <summary>A metric name of <see cref="Contracts.MetricsEvent"/>.</summary>
    public required string Name { get; init; }

    public required int Step { get; init; }
    public required double Value { get; init; }

    public void Configure(EntityTypeBuilder<MetricPoint> builder)
    {
        builder.ToTable("metric_points");
        builder.HasKey(point => new { point.TrajectoryId, point.Name, point.Step });
    }
}
