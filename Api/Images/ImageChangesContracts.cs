using System.ComponentModel.DataAnnotations;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>What to change of an image: its label, its split, or both.</summary>
public sealed record UpdateImageRequest
{
    /// <summary>The class that it shows, 1 to 200 characters.</summary>
    [PlainText(Image.MaxLabelLength)]
    public string? Label { get; init; }

    /// <summary>train, validation or test.</summary>
    [AllowedValues(null, "train", "validation", "test", ErrorMessage = SplitWords.Problem)]
    public string? Split { get; init; }
}

/// <summary>Which images to change, by ids or where, and what to change of them: their label, their split, or both.</summary>
public sealed record UpdateImagesRequest
{
    /// <summary>1 to 1,000 images of the model.</summary>
    [Length(1, DeleteImagesRequest.MaxIds, ErrorMessage = DeleteImagesRequest.IdsProblem)]
    public IReadOnlyList<Guid>? Ids { get; init; }

    /// <summary>Every image of the model with this label or in this split, instead of ids.</summary>
    public WhereRequest? Where { get; init; }

    /// <summary>The class that they show, 1 to 200 characters.</summary>
    [PlainText(Image.MaxLabelLength)]
    public string? Label { get; init; }

    /// <summary>train, validation or test.</summary>
    [AllowedValues(null, "train", "validation", "test", ErrorMessage = SplitWords.Problem)]
    public string? Split { get; init; }
}

/// <summary>Which images to remove, by ids or where.</summary>
public sealed record DeleteImagesRequest
{
    internal const int MaxIds = 1000;
    internal const string IdsProblem = "ids are 1 to 1000: send the others in another request.";

    /// <summary>1 to 1,000 images of the model.</summary>
    [Length(1, MaxIds, ErrorMessage = IdsProblem)]
    public IReadOnlyList<Guid>? Ids { get; init; }

    /// <summary>Every image of the model with this label or in this split, instead of ids.</summary>
    public WhereRequest? Where { get; init; }
}

/// <summary>Images with this label and in this split; one of the two at least.</summary>
public sealed record WhereRequest
{
    /// <summary>1 to 200 characters, as the images have it.</summary>
    [PlainText(Image.MaxLabelLength)]
    public string? Label { get; init; }

    /// <summary>train, validation or test, as uploads named it.</summary>
    [AllowedValues(null, "train", "validation", "test", ErrorMessage = SplitWords.Problem)]
    public string? Split { get; init; }
}

/// <param name="Changed">Images that have another label or split now.</param>
/// <param name="Unchanged">Images that had both already.</param>
/// <param name="Missing">The ids that are none of the model's images.</param>
public sealed record ImagesChangedResponse(int Changed, int Unchanged, IReadOnlyList<Guid> Missing);

/// <param name="Deleted">Images that the model had and has no more.</param>
/// <param name="Missing">The ids that are none of the model's images.</param>
public sealed record ImagesDeletedResponse(int Deleted, IReadOnlyList<Guid> Missing);
