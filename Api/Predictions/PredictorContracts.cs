using System.ComponentModel.DataAnnotations;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

public sealed record ChoosePredictorRequest
{
    /// <summary>A completed experiment of the model.</summary>
    [Required(ErrorMessage = "Say which experiment is to predict; DELETE goes back to the best one.")]
    public Guid? ExperimentId { get; init; }
}

/// <summary>The experiment that answers a model's predictions.</summary>
/// <param name="ExperimentId">The one that was chosen, or else the best one; null until an experiment is completed.</param>
/// <param name="Parameters">Its parameters; null like the id.</param>
/// <param name="Accuracy">Its validation accuracy, 0 to 1; null like the id.</param>
/// <param name="Chosen">False while it is the best one, whichever that is.</param>
/// <param name="Since">When it was chosen, or the best one was gone back to; null where nothing was ever chosen.</param>
/// <param name="History">The latest 100 changes, newest first.</param>
public sealed record PredictorResponse(
    Guid? ExperimentId,
    ExperimentParameters? Parameters,
    double? Accuracy,
    bool Chosen,
    DateTimeOffset? Since,
    IReadOnlyList<PredictorChangeResponse> History);

/// <param name="ExperimentId">What answered from then on; null is the best one.</param>
/// <param name="Action"><c>chosen</c>, <c>followedBest</c> (again), or <c>rolledBack</c> to what was before.</param>
public sealed record PredictorChangeResponse(Guid? ExperimentId, PredictorAction Action, DateTimeOffset At);
