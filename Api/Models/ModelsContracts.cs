using System.ComponentModel.DataAnnotations;
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
}

public sealed record RenameModelRequest
{
    /// <summary>1 to 200 characters; unique among all models, without regard to case.</summary>
    [Required(ErrorMessage = "A model has a name."), PlainText(Model.MaxNameLength)]
    public string? Name { get; init; }
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
/// <param name="ExperimentCount">Experiments of all states.</param>
/// <param name="BestAccuracy">Best validation accuracy on the newest data set version that has a completed experiment, 0 to 1; null until an experiment is completed.</param>
/// <param name="BestExperimentId">The experiment that has it.</param>
public sealed record ModelResponse(
    Guid Id,
    string Name,
    InputSize InputSize,
    string Trainer,
    int ExperimentCount,
    double? BestAccuracy,
    Guid? BestExperimentId,
    DateTimeOffset CreatedAt);

/// <summary>A model with what it holds.</summary>
/// <param name="ExperimentCount">Experiments of all states.</param>
/// <param name="BestAccuracy">Best validation accuracy on the newest data set version that has a completed experiment, 0 to 1; null until an experiment is completed.</param>
/// <param name="BestExperimentId">The experiment that has it.</param>
/// <param name="Images">By the split that their upload named.</param>
/// <param name="Classes">By label, in alphabetical order.</param>
/// <param name="Experiments">How many there are by status; every status is there.</param>
public sealed record ModelDetail(
    Guid Id,
    string Name,
    InputSize InputSize,
    string Trainer,
    int ExperimentCount,
    double? BestAccuracy,
    Guid? BestExperimentId,
    DateTimeOffset CreatedAt,
    ImageCounts Images,
    IReadOnlyList<ClassCount> Classes,
    IReadOnlyDictionary<string, int> Experiments);

public sealed record ImageCounts(int Total, int Train, int Validation, int Test);

/// <param name="Count">Images with this label, of every split.</param>
public sealed record ClassCount(string Label, int Count);
