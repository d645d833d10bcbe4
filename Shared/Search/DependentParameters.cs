using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>
/// Parameters that count only beside certain values of another one; <see cref="ExperimentParameters.Normalized"/> resets them elsewhere. Who asks
/// for one without the other forgot something.
/// </summary>
public static class DependentParameters
{
    /// <summary>What a network with a depth of its own has for layers.</summary>
    private const int NoLayers = 1;

    private static readonly Dependence[] All =
    [
        new(["momentum"], "optimizer", value => value is "sgd", "Only sgd uses {0}: give optimizer as \"sgd\" too."),
        new(["decayEvery", "decayFactor"], "schedule", value => value is not "constant", "A constant schedule doesn't use {0}: give schedule as \"step\" or \"exponential\" too."),
        new(["patienceMetric"], "patience", value => value is not 0, "{0} says what patience watches: give patience too."),
        new([ParameterDefinition.Layers, "filters", "kernelSize", "denseUnits", "dropout"], "architecture", value => value is "cnn", "Only cnn uses {0}: leave it out, or try cnn too."),
    ];

    /// <summary>What is wrong, by path: values other than the default of a parameter that none of these combinations uses.</summary>
    public static IEnumerable<(string Path, string Error)> Unused(IReadOnlyList<Dimension> dimensions) =>
        from dimension in dimensions
        let dependence = Of(dimension.Name)
        where dependence is not null
        let usual = ParameterDefinition.All[dimension.Name].Default ?? NoLayers
        where dimension.Values.Any(value => !value.Equals(usual))
        let others = dimensions.FirstOrDefault(other => other.Name == dependence.On)?.Values ?? [ParameterDefinition.All[dependence.On].Default!]
        where !others.Any(dependence.IsUsed)
        select (dimension.Path, string.Format(null, dependence.Advice, dimension.Name));

    /// <summary>The words about a parameter that nothing uses.</summary>
    public static string Advice(string name) =>
        Of(name) is { } dependence ? string.Format(null, dependence.Advice, name) : $"The other parameters make no use of {name}.";

    private static Dependence? Of(string name) => Array.Find(All, dependence => dependence.Names.Contains(name));

    private sealed record Dependence(string[] Names, string On, Func<object, bool> IsUsed, string Advice);
}
