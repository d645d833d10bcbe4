using System.Text.Json;

namespace MlExperiments.Api.Studies;

/// <summary>A study as lists show it.</summary>
public sealed record StudyResponse(Guid Id, string Name, Guid ModelId, Guid DataSetVersionId, DateTimeOffset CreatedAt);

/// <summary>A study and how far it is.</summary>
/// <param name="Definition">The request as it was understood: space, fixed, strategy, objective, limits.</param>
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
