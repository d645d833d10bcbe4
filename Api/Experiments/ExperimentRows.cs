using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Workers;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Reads experiments as the API shows them: one query for any number of them.</summary>
internal static class ExperimentRows
{
    /// <summary>The metric whose curve says how good an experiment was on the way.</summary>
    private const string ValidationAccuracy = "validationAccuracy";

    public static async Task<List<ExperimentResponse>> ToResponsesAsync(
        this IQueryable<Experiment> experiments, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var rows = await Read(db, experiments).ToListAsync(cancellationToken);
        var slots = rows.Exists(row => row.Experiment.Status == ExperimentStatus.Queued) ? await SlotsAsync(db, cancellationToken) : new Slots(0, 0);
        return [.. rows.Select(row => ToResponse(row, slots))];
    }

    public static ExperimentParameters ReadParameters(JsonElement parameters) => parameters.Deserialize<ExperimentParameters>(ContractJson.Options)!;

    private static IQueryable<Row> Read(ExperimentsDbContext db, IQueryable<Experiment> experiments) =>
        from experiment in experiments.AsNoTracking()
        select new Row(
            experiment,
            experiment.Trajectory!.Status,
            experiment.Trajectory.Step,
            db.DataSetVersions.Where(version => version.Id == experiment.Trajectory.DataSetVersionId).Select(version => version.TrainCount).First(),
            // At most 1: a curve may hold what is not a number.
            db.MetricPoints
                .Where(point => point.TrajectoryId == experiment.TrajectoryId && point.Name == ValidationAccuracy
                    && point.Step <= experiment.TotalSteps && point.Value <= 1)
                .OrderByDescending(point => point.Value).ThenBy(point => point.Step)
                .FirstOrDefault());

    private static ExperimentResponse ToResponse(Row row, Slots slots)
    {
        var experiment = row.Experiment;
        var parameters = ReadParameters(experiment.Parameters);
        var step = experiment switch
        {
            { Status: ExperimentStatus.Completed } => experiment.TotalSteps,
            { StartedAt: null } => 0,
            { StoppedAtStep: { } stopped } => stopped,
            _ => Math.Min(row.TrajectoryStep, experiment.TotalSteps),
        };
        // Before it started, what its trajectory did was for others.
        var best = experiment.StartedAt is null ? null : row.Best;
        var atTheEnd = experiment.Accuracy is { } accuracy && !(best?.Value >= accuracy);
        return new ExperimentResponse(
            experiment.Id,
            experiment.Number,
            experiment.Name,
            experiment.ModelId,
            experiment.StudyId,
            experiment.Status,
            experiment.Status == ExperimentStatus.Queued ? WaitingFor(row, slots) : null,
            step,
            experiment.TotalSteps,
            Math.Round(step / Math.Ceiling((double)row.TrainCount / parameters.BatchSize), 4),
            parameters,
            experiment.Accuracy,
            atTheEnd ? experiment.Accuracy : best?.Value,
            atTheEnd ? experiment.TotalSteps : best?.Step,
            experiment.TestAccuracy,
            experiment.Loss,
            experiment.MeanSquaredError,
            experiment.Diverged,
            experiment.CreatedAt,
            experiment.StartedAt,
            experiment.FinishedAt,
            experiment.DurationSeconds,
            experiment.SavedSeconds,
            experiment.Worker,
            experiment.Error,
            experiment.Priority,
            experiment.StartAt,
            experiment.Adjustment?.Deserialize<Adjustment>(ContractJson.Options));
    }

    private static string WaitingFor(Row row, Slots slots) => (row.TrajectoryStatus, slots) switch
    {
        _ when row.Experiment.StartAt is { } startAt && startAt > TimeProvider.System.GetUtcNow() => $"its start at {startAt:u}",
        (TrajectoryStatus.Running, _) => $"its trajectory, which is at step {row.TrajectoryStep} for another experiment",
        (_, { Total: 0 }) => $"a worker: none was seen within the last {AliveWorkers.SilenceInWords}",
        (_, var (total, busy)) when busy >= total => $"a free slot: {(total == 1 ? "the only one is" : $"all {total} are")} busy",
        _ => "a worker to take it",
    };

    private static async Task<Slots> SlotsAsync(ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var slots = await db.Database.SqlQuery<Slots>(
            $"""
            SELECT COALESCE(sum(slots), 0)::int AS total, COALESCE(sum(busy_slots), 0)::int AS busy
            FROM workers WHERE stopped_at IS NULL AND last_seen_at > now() - {AliveWorkers.Silence}
            """).ToListAsync(cancellationToken);
        return slots[0];
    }

    private sealed record Row(Experiment Experiment, TrajectoryStatus TrajectoryStatus, int TrajectoryStep, int TrainCount, MetricPoint? Best);

    private sealed record Slots(int Total, int Busy);
}
