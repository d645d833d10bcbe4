using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

/// <summary>What an image shows, as an experiment's weights see it.</summary>
/// <param name="Label">The most probable class.</param>
/// <param name="Confidence">Its probability, 0 to 1.</param>
/// <param name="Probabilities">Of every class, most probable first.</param>
/// <param name="ExperimentId">The experiment whose weights answered.</param>
/// <param name="Parameters">That experiment's parameters.</param>
public sealed record PredictionResponse(
    Guid Id,
    string Label,
    double Confidence,
    IReadOnlyList<ClassProbability> Probabilities,
    Guid ExperimentId,
    ExperimentParameters Parameters);

public sealed record ClassProbability(string Label, double Probability);

/// <summary>A prediction that is not answered yet.</summary>
/// <param name="Status"><c>waiting</c> for a worker, or <c>running</c> on one.</param>
public sealed record PendingPrediction(Guid Id, PredictionStatus Status);
