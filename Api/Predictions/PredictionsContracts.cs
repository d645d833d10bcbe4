using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

/// <summary>What an image shows, as an experiment's weights see it.</summary>
/// <param name="Status"><c>waiting</c> for a worker, <c>running</c> on one, <c>completed</c> or <c>failed</c>.</param>
/// <param name="File">The image's file name.</param>
/// <param name="Label">The most probable class; null unless completed.</param>
/// <param name="Confidence">Its probability, 0 to 1; null unless completed.</param>
/// <param name="Probabilities">Of every class, most probable first; empty unless completed.</param>
/// <param name="ExperimentId">The experiment whose weights answer.</param>
/// <param name="Parameters">That experiment's parameters.</param>
/// <param name="Error">Why it failed; null unless it did.</param>
public sealed record PredictionResponse(
    Guid Id,
    PredictionStatus Status,
    string File,
    string? Label,
    double? Confidence,
    IReadOnlyList<ClassProbability> Probabilities,
    Guid ExperimentId,
    ExperimentParameters Parameters,
    string? Error,
    DateTimeOffset CreatedAt);

public sealed record ClassProbability(string Label, double Probability);

/// <summary>The images of one request.</summary>
/// <param name="Items">In the order in which they were sent; one that failed says so in its own status and error.</param>
public sealed record PredictionBatchResponse(Guid Id, IReadOnlyList<PredictionResponse> Items);
