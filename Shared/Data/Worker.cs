using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>A worker process, from its start to its end.</summary>
public sealed class Worker : IEntityTypeConfiguration<Worker>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required string Name { get; init; }
    public required string Host { get; init; }
    public required int ProcessId { get; init; }
    public required string Version { get; init; }

    /// <summary>The trainers that it has: what it may claim.</summary>
    public required string[] Trainers { get; init; }

    public required int Slots { get; init; }

    /// <summary>Slots that train at this moment.</summary>
    public int BusySlots { get; set; }

    /// <summary>Resident memory of the process and its trainers; null until the first heartbeat that counts it.</summary>
    public long? MemoryBytes { get; set; }

    public required string JobEngine { get; init; }

    /// <summary>As its trainers report it, for example <c>TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)</c>; null until the first one is warm.</summary>
    public string? TorchEngine { get; set; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>By the database's clock.</summary>
    public required DateTimeOffset LastSeenAt { get; set; }

    /// <summary>Set when it ended in order.</summary>
    public DateTimeOffset? StoppedAt { get; set; }

    public void Configure(EntityTypeBuilder<Worker> builder) => builder.ToTable("workers");
}
