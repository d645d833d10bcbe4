using System.Linq.Expressions;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Where a page of sorted experiments ends: its last experiment's sort key, number and id.</summary>
internal sealed record ExperimentPosition(double? Value, string? Word, DateTimeOffset? Time, int Number, Guid Id);

/// <summary>
/// Orders experiments by a result or a parameter, those without a value last, and goes on after a position. Equal ones of one model come by
/// number, those of several by id, which is the order in which they were made.
/// </summary>
internal sealed class ExperimentOrder
{
    private readonly string _sort;
    private readonly bool _descending;
    private readonly bool _acrossModels;

    private ExperimentOrder(string sort, bool descending, bool acrossModels)
    {
        _sort = sort;
        _descending = descending;
        _acrossModels = acrossModels;
    }

    public static IEnumerable<string> Names => ExperimentColumns.Names;

    /// <summary>Null where there is no such order.</summary>
    public static ExperimentOrder? Find(string sort, bool descending, bool acrossModels) =>
        ExperimentColumns.Find(sort) is null ? null : new ExperimentOrder(sort, descending, acrossModels);

    public IQueryable<Experiment> Apply(IQueryable<Experiment> experiments, ExperimentPosition? after) => ExperimentColumns.Find(_sort) switch
    {
        Expression<Func<Experiment, int>> key => Sort(experiments, key, after, (int)(after?.Value ?? 0)),
        Expression<Func<Experiment, double?>> key => Sort(experiments, key, after, after?.Value),
        Expression<Func<Experiment, string?>> key => Sort(experiments, key, after, after?.Word),
        Expression<Func<Experiment, DateTimeOffset>> key => Sort(experiments, key, after, after?.Time ?? default),
        Expression<Func<Experiment, DateTimeOffset?>> key => Sort(experiments, key, after, after?.Time),
        var key => throw new InvalidOperationException($"There is no order by a {key?.ReturnType}."),
    };

    public ExperimentPosition PositionOf(ExperimentResponse experiment)
    {
        var position = new ExperimentPosition(null, null, null, experiment.Number, experiment.Id);
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
            "tags" => position with { Word = experiment.Tags.Count == 0 ? null : string.Join(", ", experiment.Tags) },
            "status" => position with { Value = (int)experiment.Status },
            "createdAt" => position with { Time = experiment.CreatedAt },
            "priority" => position with { Value = experiment.Priority },
            "worker" => position with { Word = experiment.Worker },
            "error" => position with { Word = experiment.Error },
            _ => JsonSerializer.SerializeToElement(experiment.Parameters, ContractJson.Options).GetProperty(_sort) is { ValueKind: JsonValueKind.String } word
                ? position with { Word = word.GetString() }
                : position with { Value = JsonSerializer.SerializeToElement(experiment.Parameters, ContractJson.Options).GetProperty(_sort).GetDouble() },
        };
    }

    private IQueryable<Experiment> Sort<TKey>(
        IQueryable<Experiment> experiments, Expression<Func<Experiment, TKey>> key, ExperimentPosition? after, TKey? value)
    {
        var experiment = key.Parameters[0];
        // One that has no null is compared and sorted as it is, so that an index over it serves.
        var isNull = default(TKey) is null ? Expression.Equal(key.Body, Expression.Constant(null, typeof(TKey))) : null;
        if (after is not null)
        {
            var follows = Follows(after);
            var later = new ParameterReplacement(follows.Parameters[0], experiment).Visit(follows.Body);
            // Read off an object, so that the query takes it as a parameter.
            var from = Expression.Property(Expression.Constant(new Box<TKey>(value!)), nameof(Box<>.Value));
            var beyond = (isNull, value) switch
            {
                (null, _) => Expression.AndAlso(Compare(key.Body, from, orEqual: true), Expression.OrElse(Compare(key.Body, from), later)),
                (_, null) => Expression.AndAlso(isNull, later),
                _ => Expression.OrElse(isNull, Expression.OrElse(Compare(key.Body, from), Expression.AndAlso(Expression.Equal(key.Body, from), later))),
            };
            experiments = experiments.Where(Expression.Lambda<Func<Experiment, bool>>(beyond, experiment));
        }

        // PostgreSQL has nulls last where it ascends, and first where it descends: numbers descend as their negatives ascend, which an index can serve.
        var sorted = (_descending, isNull) switch
        {
            (false, _) => experiments.OrderBy(key),
            (true, null) => experiments.OrderByDescending(key),
            (true, _) when typeof(TKey) == typeof(double?) => experiments.OrderBy(Expression.Lambda<Func<Experiment, TKey>>(Expression.Negate(key.Body), experiment)),
            _ => experiments.OrderBy(Expression.Lambda<Func<Experiment, bool>>(isNull, experiment)).ThenByDescending(key),
        };
        return _acrossModels ? sorted.ThenBy(candidate => candidate.Id) : sorted.ThenBy(candidate => candidate.Number);
    }

    private Expression<Func<Experiment, bool>> Follows(ExperimentPosition after)
    {
        var (number, id) = (after.Number, after.Id);
        return _acrossModels ? candidate => candidate.Id > id : candidate => candidate.Number > number;
    }

    private BinaryExpression Compare(Expression key, Expression value, bool orEqual = false)
    {
        if (key.Type == typeof(string))
        {
            key = Expression.Call(typeof(string), nameof(string.Compare), null, key, value);
            value = Expression.Constant(0);
        }

        return (_descending, orEqual) switch
        {
            (true, false) => Expression.LessThan(key, value),
            (false, false) => Expression.GreaterThan(key, value),
            (true, true) => Expression.LessThanOrEqual(key, value),
            (false, true) => Expression.GreaterThanOrEqual(key, value),
        };
    }

    private sealed record Box<T>(T Value);
}
