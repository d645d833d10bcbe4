using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Models;

public sealed record CreateModelRequest
{
    /// <summary>1 to 200 characters; unique among all models, without regard to case.</summary>
    [Required(ErrorMessage = "A model has a name."), PlainText(Model.MaxNameLength)]
    public string? Name { get; init; }

    /// <summary>What every image becomes before training; 28 x 28 grey unless given. It can't be changed later.</summary>
    public InputSizeRequest? InputSize { get; init; }

    /// <summary>Up to 10,000 characters, with line breaks.</summary>
    [PlainText(Model.MaxNotesLength, Lines = true)]
    public string? Notes { get; init; }

    /// <summary>Up to 20, of 1 to 50 characters each; of tags that differ in case only, the first counts.</summary>
    [MaxLength(Model.MaxTags, ErrorMessage = "A model has at most 20 tags.")]
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>What to change of a model, one member at least. What is left out stays as it is.</summary>
public sealed record UpdateModelRequest
{
    /// <summary>1 to 200 characters; unique among all models, without regard to case.</summary>
    [PlainText(Model.MaxNameLength)]
    public string? Name { get; init => field = Given(value); }

    /// <summary>Up to 10,000 characters, with line breaks; null or "" removes them.</summary>
    [PlainText(Model.MaxNotesLength, Lines = true)]
    public string? Notes { get; init => field = Given(value); }

    /// <summary>
    /// They replace the model's tags: up to 20, of 1 to 50 characters each. Of tags that differ in case only, the first counts; [] removes all.
    /// </summary>
    [MaxLength(Model.MaxTags, ErrorMessage = "A model has at most 20 tags.")]
    public IReadOnlyList<string>? Tags { get; init => field = Given(value); }

    /// <summary>True puts the model away: it takes no new images and experiments until this is false again. What trains already goes on.</summary>
    public bool? Archived { get; init => field = Given(value); }

    /// <summary>Whether the request has the member: null is there, too.</summary>
    internal bool Has(string member) => _given.Contains(member);

    internal bool IsEmpty => _given.Count == 0;

    private readonly HashSet<string> _given = [];

    private T Given<T>(T value, [CallerMemberName] string member = "")
    {
        _given.Add(member);
        return value;
    }
}

public sealed record InputSizeRequest
{
    /// <summary>Pixels, 8 to 224.</summary>
    [Range(8, 224, ErrorMessage = "width is 8 to 224 pixels.")]
    public int Width { get; init; } = 28;

    /// <summary>Pixels, 8 to 224.</summary>
    [Range(8, 224, ErrorMessage = "height is 8 to 224 pixels.")]
    public int Height { get; init; } = 28;

    /// <summary>1 (grey) or 3 (red, green, blue).</summary>
    [AllowedValues(1, 3, ErrorMessage = "channels is 1 (grey) or 3 (red, green, blue).")]
    public int Channels { get; init; } = 1;
}

/// <summary>What every image becomes before training.</summary>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
/// <param name="Channels">1 (grey) or 3 (red, green, blue).</param>
public sealed record InputSize(int Width, int Height, [property: AllowedValues(1, 3)] int Channels);

/// <summary>A model as lists show it.</summary>
/// <param name="Tags">In the order in which they were given.</param>
/// <param name="Archived">True while it takes no new images and experiments.</param>
/// <param name="ArchivedAt">Since when; null where it is not archived.</param>
/// <param name="ExperimentCount">Experiments of all states.</param>
/// <param name="BestAccuracy">Best validation accuracy, 0 to 1, as <c>best</c> answers it: on the present images, or else on the newest data set version that has a completed experiment. Null until an experiment is completed. A list may still show that of the newest version just after images changed.</param>
/// <param name="BestExperimentId">The experiment that has it.</param>
public sealed record ModelResponse(
    Guid Id,
    string Name,
    IReadOnlyList<string> Tags,
    bool Archived,
    DateTimeOffset? ArchivedAt,
    InputSize InputSize,
    string Trainer,
    int ExperimentCount,
    double? BestAccuracy,
    Guid? BestExperimentId,
    DateTimeOffset CreatedAt);

/// <summary>A model with what it holds.</summary>
/// <param name="Notes">What people want to remember of it; null where there is nothing.</param>
/// <param name="Tags">In the order in which they were given.</param>
/// <param name="Archived">True while it takes no new images and experiments.</param>
/// <param name="ArchivedAt">Since when; null where it is not archived.</param>
/// <param name="ExperimentCount">Experiments of all states.</param>
/// <param name="BestAccuracy">Best validation accuracy, 0 to 1: on the present images, or else on the newest data set version that has a completed experiment. Null until an experiment is completed.</param>
/// <param name="BestExperimentId">The experiment that has it.</param>
/// <param name="BestDataSetVersion">The images that it was trained on; null like the experiment.</param>
/// <param name="PredictorExperimentId">The experiment that answers predictions: the best one, unless another was chosen. Null until an experiment is completed.</param>
/// <param name="Images">By the split that uploads, and changes since, named.</param>
/// <param name="Classes">By label, in alphabetical order.</param>
/// <param name="Experiments">How many there are by status; every status is there.</param>
public sealed record ModelDetail(
    Guid Id,
    string Name,
    string? Notes,
    IReadOnlyList<string> Tags,
    bool Archived,
    DateTimeOffset? ArchivedAt,
    InputSize InputSize,
    string Trainer,
    int ExperimentCount,
    double? BestAccuracy,
    Guid? BestExperimentId,
    DataSetVersionResponse? BestDataSetVersion,
    Guid? PredictorExperimentId,
    DateTimeOffset CreatedAt,
    ImageCounts Images,
    IReadOnlyList<ClassCount> Classes,
    IReadOnlyDictionary<string, int> Experiments);

public sealed record ImageCounts(int Total, int Train, int Validation, int Test);

/// <param name="Count">Images with this label, of every split.</param>
public sealed record ClassCount(string Label, int Count);
