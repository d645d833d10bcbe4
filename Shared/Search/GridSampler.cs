using System.Text.Json;
using System.Text.Json.Nodes;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>Every combination of a space's values, once; the last dimension changes fastest.</summary>
public static class GridSampler
{
    /// <param name="trainImages">Images of the training split: how many steps an epoch has depends on it.</param>
    /// <param name="errors">By path: epochs that come to more steps than an experiment may have; then the result is empty.</param>
    public static IReadOnlyList<ExperimentParameters> Sample(SearchSpace space, int trainImages, out Dictionary<string, string[]> errors)
    {
        var found = new Dictionary<string, string[]>();
        var distinct = new HashSet<ExperimentParameters>();
        var sampled = new List<ExperimentParameters>();
        var places = new int[space.Dimensions.Count];
        do
        {
            var values = new JsonObject();
            for (var index = 0; index < places.Length; index++)
                values[space.Dimensions[index].Name] = ToNode(space.Dimensions[index].Values[places[index]]);
            if (Complete(values, space, trainImages, found) is { } parameters && distinct.Add(parameters))
                sampled.Add(parameters);
        }
        while (Advance(places, space));
        errors = found;
        return found.Count == 0 ? sampled : [];
    }

    private static ExperimentParameters? Complete(JsonObject values, SearchSpace space, int trainImages, Dictionary<string, string[]> errors)
    {
        var epochs = values[ParameterDefinition.Epochs]?.GetValue<int>();
        if (epochs is not null)
        {
            values.Remove(ParameterDefinition.Epochs);
            values[ParameterDefinition.Steps] = 1;
        }

        values.TryAdd(ParameterDefinition.Layers, 1);
        var parameters = values.Deserialize<ExperimentParameters>(ContractJson.Options)!;
        if (epochs is { } passes)
        {
            var steps = (long)passes * ((trainImages + parameters.BatchSize - 1) / parameters.BatchSize);
            var definition = ParameterDefinition.All[ParameterDefinition.Steps];
            if (steps > int.MaxValue || definition.Check((int)steps) is not null)
            {
                errors.TryAdd(
                    space.Dimensions.First(dimension => dimension.Name == ParameterDefinition.Epochs).Path,
                    [$"{passes} epochs of {trainImages} images in batches of {parameters.BatchSize} are {steps} steps, more than an experiment may have."]);
                return null;
            }

            parameters = parameters with { Steps = (int)steps };
        }

        return parameters.Normalized();
    }

    private static bool Advance(int[] places, SearchSpace space)
    {
        for (var index = places.Length - 1; index >= 0; index--)
        {
            if (++places[index] < space.Dimensions[index].Values.Count)
                return true;
            places[index] = 0;
        }

        return false;
    }

    private static JsonValue ToNode(object value) => value switch
    {
        double number => JsonValue.Create(number),
        int whole => JsonValue.Create(whole),
        _ => JsonValue.Create((string)value)!,
    };
}
