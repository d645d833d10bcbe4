using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Studies;

/// <summary>A study as lists show it.</summary>
public sealed record StudyResponse(Guid Id, string Name, Guid ModelId, Guid DataSetVersionId, DateTimeOffset CreatedAt);

/// <summary>A study and how far it is.</summary>
/// <param name="Definition">The request as it was understood: space (with every value of its ranges), fixed, strategy, objective, limits, start, replicates, priority. A clone starts from it.</param>
/// <param name="Experiments">How many there are by status; every status is there.</param>
/// <param name="Progress">Share of the training steps that are done, 0 to 1; steps that experiments share count once.</param>
/// <param name="EstimatedSecondsLeft">At the speed of the trajectories that run now; null while none does.</param>
/// <param name="TrainedSeconds">Training time that its completed experiments took, each without what had been trained for another.</param>
/// <param name="SavedSeconds">Training time that sharing saved them.</param>
/// <param name="StoppedAt">When one of its limits stopped it: what was queued or running then was cancelled; null where none did.</param>
/// <param name="StopReason">Which limit that was.</param>
public sealed record StudyDetail(
    Guid Id,
    string Name,
    Guid ModelId,
    Guid DataSetVersionId,
    DateTimeOffset CreatedAt,
    JsonElement Definition,
    IReadOnlyDictionary<string, int> Experiments,
    double Progress,
    double? EstimatedSecondsLeft,
    double TrainedSeconds,
    double SavedSeconds,
    DateTimeOffset? StoppedAt,
    string? StopReason);

/// <summary>What came of one set of parameters, over the seeds that it was trained with.</summary>
/// <param name="Parameters">Without seed and replicate.</param>
/// <param name="Experiments">How many have them, in any status.</param>
/// <param name="Seeds">Of how many seeds one is completed at least.</param>
/// <param name="MeanAccuracy">Of the seeds' validation accuracies, 0 to 1; null until one is completed.</param>
/// <param name="StandardDeviation">Of a sample (n - 1); null below two seeds.</param>
/// <param name="MostAccurateId">The experiment with highestAccuracy; the oldest until one is completed.</param>
public sealed record StudyResult(
    JsonElement Parameters,
    int Experiments,
    int Seeds,
    double? MeanAccuracy,
    double? StandardDeviation,
    double? LowestAccuracy,
    double? HighestAccuracy,
    Guid MostAccurateId)
{
    internal static StudyResult Of(SeedGroup group) => new(
        JsonElement.Parse(group.Parameters), group.Count, group.Seeds, group.Mean, group.Deviation, group.Lowest, group.Highest, group.MostAccurate);
}

/// <summary>What a clone has differently; everything may be left out, and so may the whole body. What is given replaces the study's own whole.</summary>
public sealed record CloneStudyRequest
{
    /// <summary>Names the new study, 1 to 200 characters; unless given, it is the study's, or made from the space where space or fixed is given.</summary>
    [PlainText(Study.MaxNameLength)]
    public string? Name { get; init; }

    /// <summary>Parameters to try, as generate takes them. Without it, the study's own, less those that fixed names here.</summary>
    public Dictionary<string, JsonElement>? Space { get; init; }

    /// <summary>Parameters with one value for all experiments. Without it, the study's own, less those that space names here.</summary>
    public Dictionary<string, JsonElement>? Fixed { get; init; }

    public StrategyRequest? Strategy { get; init; }

    public ObjectiveRequest? Objective { get; init; }

    /// <summary><c>{}</c> takes the study's limits off.</summary>
    public LimitsRequest? Limits { get; init; }

    /// <summary>False leaves the experiments as drafts, to be started with train.</summary>
    public bool? Start { get; init; }

    /// <summary>True trains again what exists, as generate does.</summary>
    public bool Force { get; init; }

    /// <summary>How often each set of parameters is trained, with as many seeds in a row, 1 to 100; as often as in the study unless given.</summary>
    [Range(1, GenerateRequest.MaxReplicates, ErrorMessage = "replicates is 1 to 100.")]
    public int? Replicates { get; init; }

    /// <summary>Higher is trained earlier, -1000 to 1000; the study's own unless given.</summary>
    [Range(-1000, 1000, ErrorMessage = "priority is -1000 to 1000.")]
    public int? Priority { get; init; }

    /// <summary>Not trained before this time, up to ten years ahead; at once unless given.</summary>
    public DateTimeOffset? StartAt { get; init; }
}
