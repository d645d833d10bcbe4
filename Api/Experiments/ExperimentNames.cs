using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>Names for people, made of what is varied.</summary>
internal static class ExperimentNames
{
    /// <summary>For example <c>lr 0.001, layers 2, steps 2000</c> or <c>lr 0.001, resnet18, steps 2000</c>, and what else the space varies.</summary>
    public static IReadOnlyList<string> Of(IReadOnlyList<ExperimentParameters> experiments, SearchSpace space)
    {
        string[] always = ["learningRate", "layers", "architecture", ParameterDefinition.Steps, ParameterDefinition.Epochs];
        var others = space.Dimensions.Where(dimension => dimension.Values.Count > 1 && !always.Contains(dimension.Name))
            .Select(dimension => dimension.Name).ToList();
        return [.. experiments.Select(parameters =>
        {
            var name = Head(parameters);
            if (others.Count > 0)
            {
                var values = JsonSerializer.SerializeToElement(parameters, ContractJson.Options);
                name += string.Concat(others.Select(other => $", {other} {values.GetProperty(other)}"));
            }

            return name.Length <= Experiment.MaxNameLength ? name : name[..Experiment.MaxNameLength];
        })];
    }

    /// <summary>Whether a name says more than the parameters beside it do.</summary>
    public static bool IsOwn(string name, ExperimentParameters parameters)
    {
        var head = Head(parameters);
        if (!name.StartsWith(head, StringComparison.Ordinal))
            return true;
        var known = JsonSerializer.SerializeToElement(parameters, ContractJson.Options).EnumerateObject().Select(value => $"{value.Name} {value.Value}").ToList();
        var parts = name[head.Length..].Split(", ");
        // The last part of a name that was cut off says no more than the part did.
        var cut = name.Length == Experiment.MaxNameLength ? parts[^1] : null;
        return parts[0].Length > 0 || parts.Skip(1).Any(part => !known.Contains(part) && (part != cut || !known.Any(whole => whole.StartsWith(part, StringComparison.Ordinal))));
    }

    /// <summary>For example <c>Grid: 3 learningRate, 3 layers, 3 steps</c>.</summary>
    public static string OfStudy(SearchSpace space)
    {
        var varied = space.Dimensions.Where(dimension => dimension.Values.Count > 1).Select(dimension => $"{dimension.Values.Count} {dimension.Name}").ToList();
        return varied.Count == 0 ? "One experiment" : $"Grid: {string.Join(", ", varied)}";
    }

    private static string Head(ExperimentParameters parameters)
    {
        var network = parameters.Architecture == "cnn" ? $"layers {parameters.Layers}" : parameters.Architecture;
        return string.Create(CultureInfo.InvariantCulture, $"lr {parameters.LearningRate}, {network}, steps {parameters.Steps}");
    }
}
