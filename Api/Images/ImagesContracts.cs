using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>What an upload sends as multipart/form-data; the order of the fields does not matter.</summary>
public sealed record UploadForm
{
    /// <summary>
    /// Images (PNG, JPEG, GIF, BMP, WebP), all of the one label; or zips with a folder for each class: <c>cat/x.png</c>, or
    /// <c>train/cat/x.png</c>, <c>validation/cat/y.png</c>, <c>test/cat/z.png</c>, all in one more folder if you like; or IDX files of grey images as MNIST
    /// has them, in pairs: <c>train-images-idx3-ubyte.gz</c> with <c>train-labels-idx1-ubyte.gz</c>, <c>t10k-images-idx3-ubyte.gz</c> with
    /// <c>t10k-labels-idx1-ubyte.gz</c>, unpacked or not, with more before it if you like.
    /// </summary>
    public required IFormFileCollection Files { get; init; }

    /// <summary>The class of the images that are files of their own, 1 to 200 characters. A zip's folders and an IDX file of labels name the classes of their images, whatever label says.</summary>
    public string? Label { get; init; }

    /// <summary>train (the default), validation or test. A zip's own split folders go before it; it goes before the train, test or t10k of an IDX file's name.</summary>
    [DefaultValue("train"), AllowedValues("train", "validation", "test")]
    public string? Split { get; init; }
}

/// <summary>What became of an upload's images.</summary>
/// <param name="Accepted">Images that the model has now and had not before.</param>
/// <param name="Duplicates">Images that were there already with the same label and split, in the model or earlier in this upload.</param>
/// <param name="Refused">Files that were left out, each with the reason; the first 1,000 of them.</param>
/// <param name="RefusedCount">How many were left out in all.</param>
public sealed record UploadResponse(int Accepted, int Duplicates, IReadOnlyList<RefusedFile> Refused, int RefusedCount);

/// <param name="File">Its name, within a zip its path.</param>
/// <param name="Reason">Why it was left out, in words.</param>
public sealed record RefusedFile(string File, string Reason);

/// <param name="Sha256">Of the file's bytes, 64 lower-case hex digits.</param>
/// <param name="Split">The split that its upload named, or a change since.</param>
/// <param name="FileName">The name that it was uploaded under.</param>
/// <param name="Width">Pixels, of the upright image.</param>
/// <param name="Height">Pixels, of the upright image.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Content">Where the file itself is.</param>
public sealed record ImageResponse(
    Guid Id,
    string Sha256,
    string Label,
    ImageSplit Split,
    string FileName,
    int Width,
    int Height,
    string MediaType,
    int Length,
    DateTimeOffset CreatedAt,
    string Content);

/// <summary>A model's images, counted.</summary>
/// <param name="TotalBytes">Of all image files.</param>
/// <param name="Uploaded">By the split that uploads, and changes since, named.</param>
/// <param name="Resolved">By the split that the next experiments use; null, with the reason beside it, where they can't be trained.</param>
/// <param name="NotTrainable">What is missing, as a sentence; null where nothing is.</param>
/// <param name="Classes">In the order in which training counts them.</param>
public sealed record ImagesSummary(
    int Total, long TotalBytes, SplitCounts Uploaded, SplitCounts? Resolved, string? NotTrainable, IReadOnlyList<ClassSummary> Classes);

/// <param name="Resolved">Null where the summary's is.</param>
public sealed record ClassSummary(string Label, int Total, SplitCounts Uploaded, SplitCounts? Resolved);

public sealed record SplitCounts(int Train, int Validation, int Test);

/// <summary>A model's images as they were when experiments were generated on them.</summary>
/// <param name="Hash">SHA-256 over each image's hash, label and split, 64 lower-case hex digits.</param>
/// <param name="IsCurrent">True where these are the images that the model has now.</param>
public sealed record DataSetVersionResponse(Guid Id, string Hash, bool IsCurrent);
