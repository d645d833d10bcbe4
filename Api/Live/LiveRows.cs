using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Live;

/// <summary>A change that is committed: of an experiment itself or of the trajectory that it waits for or is trained on, or a deletion.</summary>
/// <param name="Id">The experiment's, or the deleted model's.</param>
internal sealed record LiveChange(Guid Id, Guid ModelId, DateTimeOffset ChangedAt, bool IsDeletion);

/// <summary>What happened since, as the database tells it.</summary>
internal static class LiveRows
{
    private static readonly string[] Curves = ["loss", "accuracy", "validationLoss", "validationAccuracy"];

    /// <summary>For transactions that begin to write at this moment, or that only their owner may see.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A time before which nothing changes any more: when the oldest transaction that writes began, and no later than <paramref name="margin"/>
    /// ago. One that lasts longer than ten minutes is left behind.
    /// </summary>
    public static async Task<DateTimeOffset> PositionAsync(ExperimentsDbContext db, TimeSpan margin, CancellationToken cancellationToken)
    {
        var positions = await db.Database.SqlQuery<DateTimeOffset>(
            $"""
            SELECT GREATEST(LEAST(clock_timestamp() - {margin}, min(xact_start)), clock_timestamp() - interval '10 minutes') AS "Value"
            FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL
            """).ToListAsync(cancellationToken);
        return positions[0];
    }

    public static IQueryable<LiveChange> Changes(ExperimentsDbContext db, DateTimeOffset since) => db.Database.SqlQuery<LiveChange>(
        $"""
        SELECT id AS "Id", model_id AS "ModelId", changed_at AS "ChangedAt", false AS "IsDeletion" FROM experiments WHERE changed_at >= {since}
        UNION ALL
        SELECT experiments.id, experiments.model_id, trajectories.changed_at, false
        FROM trajectories JOIN experiments ON experiments.trajectory_id = trajectories.id
        WHERE trajectories.changed_at >= {since} AND experiments.status IN ('queued', 'running', 'paused')
        UNION ALL
        SELECT id, model_id, deleted_at, true FROM deletions WHERE deleted_at >= {since}
        """);

    /// <summary>Those of the experiments that are there, as streams show them, by number.</summary>
    public static async Task<List<LiveExperiment>> ReadAsync(ExperimentsDbContext db, Guid[] ids, CancellationToken cancellationToken)
    {
        var experiments = await db.Experiments.Where(experiment => ids.Contains(experiment.Id)).OrderBy(experiment => experiment.Number).ToResponsesAsync(db, cancellationToken);
        var running = experiments.Where(experiment => experiment is { Status: ExperimentStatus.Running, StartedAt: not null }).Select(experiment => experiment.Id).ToArray();
        var trainings = running.Length == 0 ? [] : (await ReadTrainingsAsync(db, running, cancellationToken)).ToDictionary(training => training.Id);
        return [.. experiments.Select(experiment => ToLive(experiment, trainings.GetValueOrDefault(experiment.Id)))];
    }

    private static LiveExperiment ToLive(ExperimentResponse experiment, Training? training)
    {
        if (training is null)
            return new LiveExperiment(experiment);
        double? speed = training.StepsPerSecond > 0 ? training.StepsPerSecond : null;
        return new LiveExperiment(experiment)
        {
            StepsPerSecond = speed,
            SecondsLeft = speed is null ? null : Math.Round((experiment.TotalSteps - experiment.Step) / speed.Value, 1),
            TrainLoss = training.TrainLoss,
            TrainAccuracy = training.TrainAccuracy,
            ValidationLoss = training.ValidationLoss,
            ValidationAccuracy = training.ValidationAccuracy,
        };
    }

    private static Task<List<Training>> ReadTrainingsAsync(ExperimentsDbContext db, Guid[] ids, CancellationToken cancellationToken) => db.Database.SqlQuery<Training>(
        $"""
        SELECT experiments.id AS "Id", steps_per_second AS "StepsPerSecond",
               max(newest.value) FILTER (WHERE curve = 'loss') AS "TrainLoss",
               max(newest.value) FILTER (WHERE curve = 'accuracy') AS "TrainAccuracy",
               max(newest.value) FILTER (WHERE curve = 'validationLoss') AS "ValidationLoss",
               max(newest.value) FILTER (WHERE curve = 'validationAccuracy') AS "ValidationAccuracy"
        FROM experiments JOIN trajectories ON trajectories.id = experiments.trajectory_id
        CROSS JOIN unnest({Curves}) AS curve
        LEFT JOIN LATERAL (
            SELECT value FROM metric_points
            WHERE trajectory_id = trajectories.id AND name = curve AND step <= experiments.total_steps
            ORDER BY step DESC LIMIT 1) AS newest ON true
        WHERE experiments.id = ANY ({ids})
        GROUP BY experiments.id, steps_per_second
        """).ToListAsync(cancellationToken);

    private sealed record Training(
        Guid Id, double StepsPerSecond, double? TrainLoss, double? TrainAccuracy, double? ValidationLoss, double? ValidationAccuracy);
}
