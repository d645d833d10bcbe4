using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;

namespace MlExperiments.Training.Cli;

/// <summary>One set of parameters as somebody asked for it: epochs become steps once the images are counted.</summary>
/// <param name="space">A single combination.</param>
internal sealed class AskedParameters(SearchSpace space)
{
    /// <summary>Passes over the training images; null where steps were given.</summary>
    public int? Epochs => (int?)space.Dimensions.FirstOrDefault(dimension => dimension.Name == ParameterDefinition.Epochs)?.Values[0];

    /// <summary>All but the steps.</summary>
    public TrajectoryParameters Trajectory => Over(1, out _)!.WithoutSteps();

    /// <param name="trainImages">Images of the training split; without epochs, any number will do.</param>
    /// <param name="error">Why the result is null: the epochs are more steps than an experiment may have.</param>
    public ExperimentParameters? Over(int trainImages, out string? error)
    {
        var sampled = GridSampler.Sample(space, trainImages, out var errors);
        error = errors.Count == 0 ? null : string.Join(" ", errors.Values.SelectMany(words => words));
        return error is null ? sampled[0] : null;
    }
}
