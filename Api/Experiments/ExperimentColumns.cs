using System.Linq.Expressions;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>What experiments can be sorted and filtered by: results, times, names, and every parameter.</summary>
internal static class ExperimentColumns
{
    private static readonly Dictionary<string, LambdaExpression> Keys = new List<(string Name, LambdaExpression Key)>
    {
        ("number", Key(experiment => experiment.Number)),
        ("name", Key(experiment => experiment.Name)),
        ("tags", Key(experiment => experiment.Tags.Length == 0 ? null : string.Join(", ", experiment.Tags))),
        // In the order of an experiment's life, not of the alphabet.
        ("status", Key(experiment =>
            (double?)(experiment.Status == ExperimentStatus.Draft ? 0 : experiment.Status == ExperimentStatus.Queued ? 1
            : experiment.Status == ExperimentStatus.Running ? 2 : experiment.Status == ExperimentStatus.Completed ? 3
            : experiment.Status == ExperimentStatus.Paused ? 4 : experiment.Status == ExperimentStatus.Cancelled ? 5
            : experiment.Status == ExperimentStatus.Failed ? 6 : 7))),
        ("accuracy", Key(experiment => experiment.Accuracy)),
        ("testAccuracy", Key(experiment => experiment.TestAccuracy)),
        // What is not finite is shown as null, and sorts as that.
        ("loss", Key(experiment => experiment.Loss < double.MaxValue ? experiment.Loss : null)),
        ("meanSquaredError", Key(experiment => experiment.MeanSquaredError < double.MaxValue ? experiment.MeanSquaredError : null)),
        ("durationSeconds", Key(experiment => experiment.DurationSeconds)),
        ("savedSeconds", Key(experiment => experiment.SavedSeconds)),
        ("createdAt", Key(experiment => experiment.CreatedAt)),
        ("startedAt", Key(experiment => experiment.StartedAt)),
        ("finishedAt", Key(experiment => experiment.FinishedAt)),
        ("priority", Key(experiment => experiment.Priority)),
        ("worker", Key(experiment => experiment.Worker)),
        ("error", Key(experiment => experiment.Error)),
    }.Concat(ParameterDefinition.All.Values.Where(definition => definition.Name != ParameterDefinition.Epochs).Select(definition => (definition.Name, Key: Parameter(definition))))
        .ToDictionary(column => column.Name, column => column.Key);

    /// <summary>In the order in which help texts list them.</summary>
    public static IEnumerable<string> Names => Keys.Keys;

    /// <summary>From an experiment to its value: a number, a string or a time, null where it has none; null where there is no such column.</summary>
    public static LambdaExpression? Find(string name) => Keys.GetValueOrDefault(name);

    private static LambdaExpression Parameter(ParameterDefinition definition)
    {
        var name = definition.Name;
        return definition.IsNumber
            ? Key(experiment => (double?)experiment.Parameters.GetProperty(name).GetDouble())
            : Key(experiment => experiment.Parameters.GetProperty(name).GetString());
    }

    private static Expression<Func<Experiment, T>> Key<T>(Expression<Func<Experiment, T>> key) => key;
}
