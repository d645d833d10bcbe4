using System.Linq.Expressions;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>Where a page of sorted experiments ends: its last experiment's sort key and number.</summary>
internal sealed record ExperimentPosition(double? Value, string? Word, DateTimeOffset? Time, int Number);

/// <summary>
/// Orders one model's experiments by a result or a parameter, those without a value last, equal ones by number, and goes on after
/// a position.
/// </summary>
internal sealed class ExperimentOrder
{
    private static readonly string[] Results = 
    [
        "number", "name", "status", "accuracy", "testAccuracy", "loss", "meanSquaredError", "durationSeconds", "savedSeconds", "createdAt", "startedAt", "finishedAt",
    ];

    private readonly string _sort;
    private readonly bool _descending;

    private ExperimentOrder(string sort, bool descending)
    {
        _sort = sort;
        _descending = descending;
    }

    public static IEnumerable<string> Names => Results.Concat(Parameters);

    private static IEnumerable<string> Parameters => ParameterDefinition.All.Keys.Where(name => name != ParameterDefinition.Epochs);

    /// <summary>Null where there is no such order.</summary>
    public static ExperimentOrder? Find(string sort, bool descending) =>
        Results.Concat(Parameters).Contains(sort) ? new ExperimentOrder(sort, descending) : null;

    public IQueryable<Experiment> Apply(IQueryable<Experiment> experiments, ExperimentPosition? after) => _sort switch
    {
        "number" => Sort(experiments, experiment => (double?)experiment.Number, after, after?.Value),
        "accuracy" => Sort(experiments, experiment => experiment.Accuracy, after, after?.Value),
        "testAccuracy" => Sort(experiments, experiment => experiment.TestAccuracy, after, after?.Value),
        // What is not finite is shown as null, and sorts as that.
        "loss" => Sort(experiments, experiment => experiment.Loss < double.MaxValue ? experiment.Loss : null, after, after?.Value),
        "meanSquaredError" => Sort(
            experiments, experiment => experiment.MeanSquaredError < double.MaxValue ? experiment.MeanSquaredError : null, after, after?.Value),
        "durationSeconds" => Sort(experiments, experiment => experiment.DurationSeconds, after, after?.Value),
        "savedSeconds" => Sort(experiments, experiment => experiment.SavedSeconds, after, after?.Value),
        "startedAt" => Sort(experiments, experiment => experiment.StartedAt, after, after?.Time),
        "finishedAt" => Sort(experiments, experiment => experiment.FinishedAt, after, after?.Time),
        "name" => Sort(experiments, experiment => experiment.Name, after, after?.Word),
        // In the order of an experiment's life, not of the alphabet.
        "status" => Sort(
            experiments,
            experiment => (double?)(experiment.Status == ExperimentStatus.Draft ? 0 : experiment.Status == ExperimentStatus.Queued ? 1
                : experiment.Status == ExperimentStatus.Running ? 2 : experiment.Status == ExperimentStatus.Completed ? 3
                : experiment.Status == ExperimentStatus.Paused ? 4 : experiment.Status == ExperimentStatus.Cancelled ? 5
                : experiment.Status == ExperimentStatus.Failed ? 6 : 7),
            after,
            after?.Value),
        "createdAt" => Sort(experiments, experiment => (DateTimeOffset?)experiment.CreatedAt, after, after?.Time),
        _ when ParameterDefinition.All[_sort].IsNumber =>
            Sort(experiments, experiment => (double?)experiment.Parameters.GetProperty(_sort).GetDouble(), after, after?.Value),
        _ => Sort(experiments, experiment => experiment.Parameters.GetProperty(_sort).GetString(), after, after?.Word),
    };

    public ExperimentPosition PositionOf(ExperimentResponse experiment)
    {
        var position = new ExperimentPosition(null, null, null, experiment.Number);
        return _sort switch
        {
            "number" => position with { Value = experiment.Number },
            "accuracy" => position with { Value = experiment.Accuracy },
            "testAccuracy" => position with { Value = experiment.TestAccuracy },
            "loss" => position with { Value = experiment.Loss is { } loss && double.IsFinite(loss) ? loss : null },
            "meanSquaredError" => position with { Value = experiment.MeanSquaredError is { } error && double.IsFinite(error) ? error : null },
            "durationSeconds" => position with { Value = experiment.DurationSeconds },
            "savedSeconds" => position with { Value = experiment.SavedSeconds },
            "startedAt" => position with { Time = experiment.StartedAt },
            "finishedAt" => position with { Time = experiment.FinishedAt },
            "name" => position with { Word = experiment.Name },
            "status" => position with { Value = (int)experiment.Status },
            "createdAt" => position with { Time = experiment.CreatedAt },
            _ => JsonSerializer.SerializeToElement(experiment.Parameters, ContractJson.Options).GetProperty(_sort) is { ValueKind: JsonValueKind.String } word
                ? position with { Word = word.GetString() }
                : position with { Value = JsonSerializer.SerializeToElement(experiment.Parameters, ContractJson.Options).GetProperty(_sort).GetDouble() },
        };
    }

    private IQueryable<Experiment> Sort<TKey>(
        IQueryable<Experiment> experiments, Expression<Func<Experiment, TKey>> key, ExperimentPosition? after, TKey? value)
    {
        var experiment = key.Parameters[0];
        var isNull = Expression.Equal(key.Body, Expression.Constant(null, typeof(TKey)));
        if (after is not null)
        {
            var number = after.Number;
            Expression<Func<Experiment, bool>> later = candidate => candidate.Number > number;
            var laterBody = new Replace(later.Parameters[0], experiment).Visit(later.Body);
            // Read off an object, so that the query takes it as a parameter.
            var from = Expression.Property(Expression.Constant(new Box<TKey>(value!)), nameof(Box<>.Value));
            var beyond = value is null
                ? Expression.AndAlso(isNull, laterBody)
                : Expression.OrElse(isNull, Expression.OrElse(Compare(key.Body, from), Expression.AndAlso(Expression.Equal(key.Body, from), laterBody)));
            experiments = experiments.Where(Expression.Lambda<Func<Experiment, bool>>(beyond, experiment));
        }

        var nullsLast = experiments.OrderBy(Expression.Lambda<Func<Experiment, bool>>(isNull, experiment));
        return (_descending ? nullsLast.ThenByDescending(key) : nullsLast.ThenBy(key)).ThenBy(candidate => candidate.Number);
    }

    private BinaryExpression Compare(Expression key, Expression value)
    {
        if (key.Type == typeof(string))
        {
            key = Expression.Call(typeof(string), nameof(string.Compare), null, key, value);
            value = Expression.Constant(0);
        }

        return _descending ? Expression.LessThan(key, value) : Expression.GreaterThan(key, value);
    }

    private sealed record Box<T>(T Value);

    private sealed class Replace(ParameterExpression from, ParameterExpression to) : ExpressionVisitor
    {
        protected override Expression VisitParameter(ParameterExpression node) => node == from ? to : base.VisitParameter(node);
    }
}
