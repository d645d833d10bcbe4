using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Images;

/// <summary>What one upload may bring.</summary>
public sealed class UploadOptions
{
    public const string Section = "Upload";

    /// <summary>The longest request in bytes, 1 KiB to 1 TiB. As much disk is used beside the blobs while it is taken in.</summary>
    [Range(1024L, 1L << 40)]
    public long MaxRequestBytes { get; set; } = 4L << 30;

    /// <summary>The longest image file in bytes, 1 KiB to 256 MiB.</summary>
    [Range(1024, 256 << 20)]
    public int MaxImageBytes { get; set; } = 32 << 20;

    /// <summary>The most entries of one zip, and the most files of one request, 1 to 10 million.</summary>
    [Range(1, 10_000_000)]
    public int MaxEntries { get; set; } = 1_000_000;

    /// <summary>The most bytes that a zip's entries may have together once unpacked, 1 KiB to 1 TiB.</summary>
    [Range(1024L, 1L << 40)]
    public long MaxUnpackedBytes { get; set; } = 16L << 30;
}
