using System.Text.Json;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Studies;

/// <summary>A study as lists show it.</summary>
public sealed record StudyResponse(Guid Id, string Name, Guid ModelId, Guid DataSetVersionId, DateTimeOffset CreatedAt);

/// <summary>A study and how far it is.</summary>
/// <param name="Definition">The request as it was understood: space (with every value of its ranges), fixed, strategy, objective, limits, start. A clone starts from it.</param>
/// <param name="Experiments">How many there are by status; every status is there.</param>
/// <param name="Progress">Share of the training steps that are done, 0 to 1; steps that experiments share count once.</param>
/// <param name="EstimatedSecondsLeft">At the speed of the trajectories that run now; null while none does.</param>
public sealed record StudyDetail(
    Guid Id,
    string Name,
    Guid ModelId,
    Guid DataSetVersionId,
    DateTimeOffset CreatedAt,
    JsonElement Definition,
    IReadOnlyDictionary<string, int> Experiments,
    double Progress,
    double? EstimatedSecondsLeft);

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
}
