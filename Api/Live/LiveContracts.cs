using System.ComponentModel.DataAnnotations;
using MlExperiments.Api.Experiments;

namespace MlExperiments.Api.Live;

/// <summary>The data of <c>experiment</c>: the experiment as it is now, and how its training goes.</summary>
public sealed record LiveExperiment : ExperimentResponse
{
    public LiveExperiment(ExperimentResponse experiment)
        : base(experiment)
    {
    }

    /// <summary>Of the last steps, in training time; null unless it is running and has done some.</summary>
    public double? StepsPerSecond { get; init; }

    /// <summary>Training time to totalSteps at this speed; null where there is no speed.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>Mean cross entropy in nats of the training batches before the newest point of the curve; null unless it is running, as are the following.</summary>
    public double? TrainLoss { get; init; }

    /// <summary>Share of these batches' images that were classified right, 0 to 1.</summary>
    public double? TrainAccuracy { get; init; }

    /// <summary>Mean cross entropy in nats at the newest point, on part of the validation split.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Share of these images that are classified right, 0 to 1.</summary>
    public double? ValidationAccuracy { get; init; }
}

/// <summary>The data of <c>deleted</c>.</summary>
/// <param name="Id">The experiment's or the model's.</param>
/// <param name="Kind">What is gone: <c>experiment</c>, or <c>model</c> with all that it had.</param>
public sealed record LiveDeletion(Guid Id, [property: AllowedValues("experiment", "model")] string Kind, Guid ModelId);

/// <summary>The data of <c>resync</c>.</summary>
/// <param name="Detail">Why the list of experiments has to be read again.</param>
public sealed record LiveResync(string Detail);
