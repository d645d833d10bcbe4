using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>A request to generate as it was understood, the way that a study keeps it: with every value of its ranges.</summary>
internal sealed record StudyDefinition
{
    public Dictionary<string, JsonElement> Space { get; init; } = [];
    public Dictionary<string, JsonElement> Fixed { get; init; } = [];
    public StrategyRequest Strategy { get; init; } = new();
    public ObjectiveRequest Objective { get; init; } = new();
    public LimitsRequest Limits { get; init; } = new();
    public bool Start { get; init; } = true;
    public int Replicates { get; init; } = 1;
    public int Priority { get; init; }

    public static StudyDefinition Of(GenerateRequest request, SearchSpace space) => new()
    {
        Space = space.Dimensions.Where(dimension => request.Fixed?.ContainsKey(dimension.Name) != true)
            .ToDictionary(dimension => dimension.Name, dimension => JsonSerializer.SerializeToElement(dimension.Values)),
        Fixed = request.Fixed ?? [],
        Strategy = request.Strategy ?? new(),
        Objective = request.Objective ?? new(),
        Limits = request.Limits ?? new(),
        Start = request.Start,
        Replicates = request.Replicates,
        Priority = request.Priority,
    };

    public static StudyDefinition Read(JsonElement definition) => definition.Deserialize<StudyDefinition>(ContractJson.Options)!;

    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, ContractJson.Options);
}
