using System.Text.Json;

namespace MlExperiments.Shared.Search;

/// <summary>One parameter and the values to try, in order.</summary>
/// <param name="Name">A name of <see cref="ParameterDefinition.All"/>.</param>
/// <param name="Values">Each a <see cref="ParameterDefinition.Type"/>, none twice.</param>
/// <param name="Path">Where the request says so, for errors: <c>space.steps</c> or <c>fixed.steps</c>.</param>
public sealed record Dimension(string Name, IReadOnlyList<object> Values, string Path);

/// <summary>The values to try, by parameter. What it does not name has the default of <see cref="Contracts.ExperimentParameters"/>.</summary>
public sealed class SearchSpace
{
    private const string Seed = "seed";

    private SearchSpace(IReadOnlyList<Dimension> dimensions) => Dimensions = dimensions;

    public IReadOnlyList<Dimension> Dimensions { get; }

    /// <summary>How many combinations there are; more than <see cref="long.MaxValue"/> count as that.</summary>
    public long Size
    {
        get
        {
            var size = 1L;
            foreach (var dimension in Dimensions)
                size = size > long.MaxValue / dimension.Values.Count ? long.MaxValue : size * dimension.Values.Count;
            return size;
        }
    }

    /// <summary>What an empty request means: the 27 of three learning rates, three depths and three lengths, on 9 trajectories.</summary>
    public static SearchSpace Default { get; } = new(
    [
        new("learningRate", [0.001, 0.01, 0.1], "space.learningRate"),
        new("layers", [1, 2, 4], "space.layers"),
        new("steps", [1000, 2000, 4000], "space.steps"),
    ]);

    /// <summary>
    /// Reads a request's space and fixed parameters. A space of one's own replaces the default whole, so what has no default must
    /// be in it or fixed: learningRate, steps or epochs, and layers where the architecture is cnn.
    /// </summary>
    /// <param name="space">By name: a list of values, or a range (<see cref="ValueRange"/>). Null stands for what <see cref="Default"/> has and
    /// <paramref name="fixedValues"/> does not, without layers where the architecture is fixed and has a depth of its own.</param>
    /// <param name="fixedValues">By name: one value.</param>
    /// <param name="errors">By path, for example <c>space.learningRate[2]</c>; where there are any, the result is null.</param>
    public static SearchSpace? Read(
        IReadOnlyDictionary<string, JsonElement>? space,
        IReadOnlyDictionary<string, JsonElement> fixedValues,
        out Dictionary<string, string[]> errors)
    {
        space ??= DefaultWithout(fixedValues);
        var found = new Dictionary<string, string[]>();
        List<Dimension> dimensions =
        [
            .. space.Select(entry => new Dimension(entry.Key, ReadValues(entry.Key, entry.Value, found), $"space.{entry.Key}")),
            .. fixedValues.Select(entry => new Dimension(entry.Key, ReadFixed(entry.Key, entry.Value, found), $"fixed.{entry.Key}")),
        ];
        foreach (var name in space.Keys.Intersect(fixedValues.Keys))
            found[$"fixed.{name}"] = [$"{name} is in space already: name it once."];
        CheckTogether(dimensions, found);
        errors = found;
        return errors.Count == 0 ? new SearchSpace(dimensions) : null;
    }

    /// <summary>The same with several seeds in a row for each combination, from the one that it has on.</summary>
    /// <param name="count">1 or more.</param>
    /// <param name="error">Why that can't be: it varies the seed itself, or the seeds would leave their range; then the result is null.</param>
    public SearchSpace? WithReplicates(int count, out string? error)
    {
        error = null;
        if (count == 1)
            return this;
        var seed = Dimensions.FirstOrDefault(dimension => dimension.Name == Seed);
        var first = (int)(seed?.Values[0] ?? 0);
        if (seed?.Values.Count > 1)
            error = "space has several seeds already: leave replicates out, or give one seed in fixed.";
        else if (first > int.MaxValue - count + 1)
            error = $"A seed is at most {int.MaxValue}: {count} seeds from {first} on go beyond it.";
        if (error is not null)
            return null;
        return new(
        [
            .. Dimensions.Where(dimension => dimension != seed),
            new(Seed, [.. Enumerable.Range(first, count).Cast<object>()], "replicates"),
        ]);
    }

    private static Dictionary<string, JsonElement> DefaultWithout(IReadOnlyDictionary<string, JsonElement> fixedValues) => Default.Dimensions
        .Where(dimension => !fixedValues.ContainsKey(dimension.Name)
            && !(dimension.Name == ParameterDefinition.Steps && fixedValues.ContainsKey(ParameterDefinition.Epochs))
            && !(dimension.Name == ParameterDefinition.Layers && fixedValues.TryGetValue("architecture", out var architecture)
                && !(architecture.ValueKind == JsonValueKind.String && architecture.ValueEquals("cnn"))))
        .ToDictionary(dimension => dimension.Name, dimension => JsonSerializer.SerializeToElement(dimension.Values));

    private static void CheckTogether(List<Dimension> dimensions, Dictionary<string, string[]> errors)
    {
        var named = dimensions.Select(dimension => dimension.Name).ToHashSet();
        // The residual networks have a depth of their own.
        var layered = dimensions.Find(dimension => dimension.Name == "architecture")?.Values.Contains("cnn") != false;
        foreach (var required in ParameterDefinition.All.Values.Where(definition => definition.IsRequired && definition.Name != ParameterDefinition.Steps))
        {
            if (!named.Contains(required.Name) && (layered || required.Name != ParameterDefinition.Layers))
                errors.TryAdd($"space.{required.Name}", [$"{required.Name} has no default: give it in space (a list or a range) or in fixed (one value)."]);
        }

        var steps = named.Contains(ParameterDefinition.Steps);
        var epochs = named.Contains(ParameterDefinition.Epochs);
        if (steps && epochs)
            errors.TryAdd("space.epochs", ["Give steps or epochs, not both."]);
        else if (!steps && !epochs)
            errors.TryAdd("space.steps", ["Give steps or epochs, in space (a list or a range) or in fixed (one value)."]);

        foreach (var (path, error) in DependentParameters.Unused(dimensions))
            errors.TryAdd(path, [error]);
    }

    private static IReadOnlyList<object> ReadValues(string name, JsonElement value, Dictionary<string, string[]> errors)
    {
        var path = $"space.{name}";
        if (Find(name, path, errors) is not { } definition)
            return [];
        switch (value.ValueKind)
        {
            case JsonValueKind.Array when value.GetArrayLength() > 0:
                var values = new List<object>();
                foreach (var (index, item) in value.EnumerateArray().Index())
                {
                    if (definition.Read(item, out var error) is { } read)
                        values.Add(read);
                    else
                        errors.TryAdd($"{path}[{index}]", [error!]);
                }

                return [.. values.Distinct()];
            case JsonValueKind.Object:
                return ValueRange.Read(definition, value, path, errors);
            default:
                errors.TryAdd(path, [$"Give a list of values, such as [1, 2], or a range, such as {{\"min\": 1, \"max\": 4, \"step\": 1}}; one value goes into fixed."]);
                return [];
        }
    }

    private static IReadOnlyList<object> ReadFixed(string name, JsonElement value, Dictionary<string, string[]> errors)
    {
        var path = $"fixed.{name}";
        if (Find(name, path, errors) is not { } definition)
            return [];
        if (definition.Read(value, out var error) is { } read)
            return [read];
        errors.TryAdd(path, [error!]);
        return [];
    }

    private static ParameterDefinition? Find(string name, string path, Dictionary<string, string[]> errors)
    {
        if (ParameterDefinition.All.TryGetValue(name, out var definition))
            return definition;
        errors.TryAdd(path, [$"There is no parameter {name}; there are {string.Join(", ", ParameterDefinition.All.Keys)}."]);
        return null;
    }
}
