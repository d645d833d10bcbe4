using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Shared.Blobs;

/// <summary>Where blobs are kept.</summary>
public sealed class BlobOptions
{
    public const string Section = "Blobs";

    /// <summary>
    /// The folder, made where it is missing; Api and workers on one machine share it. A path that is not absolute counts from the working folder.
    /// </summary>
    [Required]
    public string Folder { get; set; } = ".data/blobs";

    /// <summary>
    /// What is not complete yet: on the same disk as the blobs, so that a rename completes it, and on a disk at all, where
    /// <c>/tmp</c> may be memory.
    /// </summary>
    public string TemporaryFolder => Path.Combine(Folder, "tmp");
}
