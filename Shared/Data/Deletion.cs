using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>An experiment or a model that is gone, for whoever watches it; written by the database.</summary>
public sealed class Deletion : IEntityTypeConfiguration<Deletion>
{
    /// <summary>How long it is remembered.</summary>
    public static readonly TimeSpan KeptFor = TimeSpan.FromDays(1);

    public required Guid Id { get; init; }

    /// <summary><see cref="Id"/> itself where the model went, with all that it had.</summary>
    public required Guid ModelId { get; init; }

    public required DateTimeOffset DeletedAt { get; init; }

    public void Configure(EntityTypeBuilder<Deletion> builder) => builder.ToTable("deletions");
}
