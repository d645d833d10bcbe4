using MlExperiments.Api.Images;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>One set of parameters and what came of it.</summary>
/// <param name="Number">1, 2, ... within the model.</param>
/// <param name="Tags">In the order in which they were given.</param>
/// <param name="WaitingFor">What a queued experiment waits for; null in every other status.</param>
/// <param name="Step">Training steps done, 0 to totalSteps; where it is completed with fewer than these, it diverged or was stopped early.</param>
/// <param name="TotalSteps">The step at which it is measured.</param>
/// <param name="Epoch">Passes over the training split at step.</param>
/// <param name="Accuracy">Share of the validation images that are classified right, 0 to 1; null until completed.</param>
/// <param name="BestAccuracy">The highest validation accuracy on the way, 0 to 1: measured on part of the split until the end.</param>
/// <param name="BestStep">The step at which bestAccuracy was measured first.</param>
/// <param name="TestAccuracy">Like accuracy, on the test split; null where there is none.</param>
/// <param name="Loss">Mean cross entropy on the validation split in nats; null until completed, and where it is not finite.</param>
/// <param name="MeanSquaredError">Mean over images and classes of (probability - one-hot)^2.</param>
/// <param name="Diverged">True where the loss left the finite numbers, so that training ended early.</param>
/// <param name="StoppedEarly">True where training ended before totalSteps because parameters.patience ran out; step says where, and accuracy is that of this step.</param>
/// <param name="DurationSeconds">Training time from step 0 to its last step, whoever paid for it.</param>
/// <param name="SavedSeconds">The part of it that had been trained for another experiment.</param>
/// <param name="ImagesPerSecond">Training images per second of durationSeconds; null until completed, and where it diverged at a step that nobody noted.</param>
/// <param name="Worker">Name of the worker that trained or trains it.</param>
/// <param name="Error">Why it failed, or was cancelled by the service.</param>
/// <param name="Priority">Higher is trained earlier.</param>
/// <param name="StartAt">Not trained before this time; null is at once.</param>
/// <param name="Adjustment">What changes at the next step boundary; null where nothing waits for it.</param>
public record ExperimentResponse(
    Guid Id,
    int Number,
    string Name,
    IReadOnlyList<string> Tags,
    Guid ModelId,
    string ModelName,
    Guid StudyId,
    ExperimentStatus Status,
    string? WaitingFor,
    int Step,
    int TotalSteps,
    double Epoch,
    ExperimentParameters Parameters,
    double? Accuracy,
    double? BestAccuracy,
    int? BestStep,
    double? TestAccuracy,
    double? Loss,
    double? MeanSquaredError,
    bool Diverged,
    bool StoppedEarly,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    double? DurationSeconds,
    double? SavedSeconds,
    double? ImagesPerSecond,
    string? Worker,
    string? Error,
    int Priority,
    DateTimeOffset? StartAt,
    Adjustment? Adjustment);

/// <summary>One experiment with the attempts at its trajectory.</summary>
public sealed record ExperimentDetail : ExperimentResponse
{
    public ExperimentDetail(ExperimentResponse experiment)
        : base(experiment)
    {
    }

    /// <summary>The training that it shares with the experiments that differ only in steps.</summary>
    public required Guid TrajectoryId { get; init; }

    /// <summary>The images that it is trained on.</summary>
    public required Guid DataSetVersionId { get; init; }

    /// <summary>False where it trained on a GPU, or went on from a checkpoint of another engine, version, device or kind of CPU, or with points another distance apart.</summary>
    public required bool Reproducible { get; init; }

    /// <summary>SHA-256 over the weights' values, lower-case hex: equal for equal results; null until completed.</summary>
    public required string? WeightsHash { get; init; }

    public required DateTimeOffset? QueuedAt { get; init; }

    /// <summary>What somebody noted; null where nobody did.</summary>
    public required string? Notes { get; init; }

    /// <summary>The latest 100 attempts at the trajectory, newest first.</summary>
    public required IReadOnlyList<AttemptResponse> Attempts { get; init; }
}

/// <summary>How many experiments a list has.</summary>
/// <param name="Statuses">By status; every status is there.</param>
public sealed record ExperimentCounts(int Count, IReadOnlyDictionary<string, int> Statuses);

/// <summary>One time that a worker trained the trajectory.</summary>
/// <param name="ToStep">The last step that is kept of it; null while it runs.</param>
/// <param name="Outcome">Why it ended; null while it runs.</param>
public sealed record AttemptResponse(
    string Worker, int FromStep, int? ToStep, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, AttemptOutcome? Outcome, string? Error);

/// <summary>An experiment's curves.</summary>
/// <param name="Step">Training steps done.</param>
/// <param name="Curves">By metric: <c>loss</c> and <c>accuracy</c> of the training batches, <c>validationLoss</c> and <c>validationAccuracy</c>.</param>
public sealed record MetricsResponse(Guid ExperimentId, int Step, int TotalSteps, IReadOnlyDictionary<string, IReadOnlyList<PointResponse>> Curves);

/// <param name="Value">Null where it was not a finite number.</param>
public sealed record PointResponse(int Step, double? Value);

/// <summary>The best experiment, and how the others compare.</summary>
/// <param name="Seeds">With how many seeds its parameters were trained; null unless best is by mean, as are the next two.</param>
/// <param name="MeanAccuracy">Of these seeds' validation accuracies.</param>
/// <param name="StandardDeviation">Of a sample (n - 1).</param>
/// <param name="DataSetVersion">The images that these experiments were trained on.</param>
/// <param name="Experiments">The completed experiments on the same data set version, most accurate first, at most 1,000.</param>
public sealed record BestResponse(
    Guid ExperimentId,
    ExperimentParameters Parameters,
    double Accuracy,
    double? TestAccuracy,
    int? Seeds,
    double? MeanAccuracy,
    double? StandardDeviation,
    DataSetVersionResponse DataSetVersion,
    IReadOnlyList<ScoredExperiment> Experiments);

public sealed record ScoredExperiment(Guid Id, ExperimentParameters Parameters, double Accuracy);
