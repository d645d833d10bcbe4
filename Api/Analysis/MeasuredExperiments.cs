using System.Linq.Expressions;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Analysis;

/// <summary>What there is to know of an experiment when many are compared.</summary>
internal sealed record MeasuredExperiment(Guid Id, int Number, string Name, double Value, JsonElement Parameters, Guid DataSetVersionId);

/// <summary>Reads the experiments that have a metric: few columns of many rows.</summary>
internal static class MeasuredExperiments
{
    /// <summary>The member of parameters that only those have whose learning rate was changed while they trained: their parameters don't tell all.</summary>
    public const string Changes = "learningRateChanges";

    private static readonly string[] Parameters = [.. ParameterDefinition.All.Keys.Where(name => name != ParameterDefinition.Epochs)];

    private static readonly Dictionary<string, bool> IsHigherBetter = new()
    {
        ["accuracy"] = true,
        ["testAccuracy"] = true,
        ["loss"] = false,
        ["meanSquaredError"] = false,
        ["durationSeconds"] = false,
    };

    public static bool Maximizes(string metric) => IsHigherBetter[metric];

    public static IQueryable<Experiment> With(this IQueryable<Experiment> experiments, string metric)
    {
        var key = Key(metric);
        return experiments.Where(Expression.Lambda<Func<Experiment, bool>>(Expression.NotEqual(key.Body, Expression.Constant(null, typeof(double?))), key.Parameters));
    }

    /// <summary>The best ones, in this order.</summary>
    public static IQueryable<Experiment> Best(this IQueryable<Experiment> experiments, string metric, int count) =>
        ExperimentOrder.Find(metric, Maximizes(metric), acrossModels: false)!.Apply(experiments, null).Take(count);

    /// <summary>So many at random, and the same each time: a fingerprint is as good as a random number.</summary>
    public static IQueryable<Experiment> Sample(this IQueryable<Experiment> experiments, int count) =>
        experiments.OrderBy(experiment => experiment.Fingerprint).Take(count);

    public static Task<List<MeasuredExperiment>> ReadAsync(this IQueryable<Experiment> experiments, string metric, CancellationToken cancellationToken) =>
        experiments.Select(experiment => new MeasuredExperiment(
            experiment.Id,
            experiment.Number,
            experiment.Name,
            (metric == "accuracy" ? experiment.Accuracy
                : metric == "testAccuracy" ? experiment.TestAccuracy
                : metric == "loss" ? experiment.Loss
                : metric == "meanSquaredError" ? experiment.MeanSquaredError
                : experiment.DurationSeconds)!.Value,
            experiment.Parameters,
            experiment.Trajectory!.DataSetVersionId)).ToListAsync(cancellationToken);

    /// <summary>The parameters in which these differ.</summary>
    public static List<PointColumn> Columns(IReadOnlyList<MeasuredExperiment> experiments)
    {
        var columns = new List<PointColumn>();
        foreach (var name in Parameters)
        {
            var isNumber = ParameterDefinition.All[name].IsNumber;
            var numbers = isNumber ? experiments.Select(experiment => experiment.Parameters.GetProperty(name).GetDouble()).ToArray() : null;
            var words = isNumber ? null : experiments.Select(experiment => experiment.Parameters.GetProperty(name).GetString()!).ToArray();
            if (numbers?.Distinct().Take(2).Count() == 2 || words?.Distinct().Take(2).Count() == 2)
                columns.Add(new PointColumn(name, numbers, words));
        }

        return columns;
    }

    private static Expression<Func<Experiment, double?>> Key(string metric) => (Expression<Func<Experiment, double?>>)ExperimentColumns.Find(metric)!;
}
