using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MlExperiments.Shared.Data;

/// <summary>One labelled image of a model. The same bytes count once in a model, whatever their file is called.</summary>
public sealed class Image : IEntityTypeConfiguration<Image>
{
    public const int MaxLabelLength = 200;
    public const int MaxFileNameLength = 400;

    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required Guid ModelId { get; init; }

    /// <summary>SHA-256 of the file's bytes, 32 bytes.</summary>
    public required byte[] Sha256 { get; init; }

    /// <summary>The pack that holds the bytes, and where in it.</summary>
    public required Guid PackId { get; init; }

    public required long PackOffset { get; init; }

    /// <summary>Bytes.</summary>
    public required int Length { get; init; }

    public required string Label { get; set; }
    public required ImageSplit Split { get; set; }

    /// <summary>The name that it was uploaded under.</summary>
    public required string FileName { get; init; }

    /// <summary>Pixels of the uploaded file.</summary>
    public required int Width { get; init; }

    /// <summary>Pixels of the uploaded file.</summary>
    public required int Height { get; init; }

    /// <summary><c>image/png</c> and its like.</summary>
    public required string MediaType { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public Pack? Pack { get; init; }

    public void Configure(EntityTypeBuilder<Image> builder)
    {
        builder.ToTable("images");
        builder.HasOne(image => image.Pack).WithMany().HasForeignKey(image => image.PackId);
    }
}

/// <summary>
/// The split that an upload names. Where a model has no validation image, those <see cref="Train"/> images whose hash lies
/// below a threshold are held out for validation when a data set version is made.
/// </summary>
public enum ImageSplit
{
    Train,
    Validation,
    Test,
}

/// <summary>A blob of many images' bytes, one after another.</summary>
public sealed class Pack : IEntityTypeConfiguration<Pack>
{
    public Guid Id { get; init; } = Guid.CreateVersion7();

    /// <summary>The blob: SHA-256 of its bytes, 64 lower-case hex digits.</summary>
    public required string BlobHash { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was found that neither an image nor a data set version needs it; null while one does.</summary>
    public DateTimeOffset? UnusedSince { get; set; }

    public void Configure(EntityTypeBuilder<Pack> builder) => builder.ToTable("packs");
}
