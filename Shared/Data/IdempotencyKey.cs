using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>A request that its sender may send again, and its answer once there is one.</summary>
public sealed class IdempotencyKey : IEntityTypeConfiguration<IdempotencyKey>
{
    public required string Key { get; init; }

    /// <summary>Of the request, in lower case.</summary>
    public required string Path { get; init; }

    /// <summary>SHA-256 over query and body.</summary>
    public required byte[] Fingerprint { get; init; }

    /// <summary>The one request that carries it out; nobody else writes its answer.</summary>
    public required Guid Owner { get; init; }

    /// <summary>By the database's clock: until when the owner may be taken for alive; null once answered.</summary>
    public DateTimeOffset? LeaseUntil { get; init; }

    /// <summary>The answer's; null while the request is under way.</summary>
    public int? Status { get; init; }

    public string? ContentType { get; init; }
    public string? Location { get; init; }

    /// <summary>The answer's body, packed with gzip; null where it has none.</summary>
    public byte[]? Body { get; init; }

    /// <summary>By the database's clock: when the key means nothing any more.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    public void Configure(EntityTypeBuilder<IdempotencyKey> builder)
    {
        builder.ToTable("idempotency_keys");
        builder.HasKey(key => new { key.Key, key.Path });
    }
}
