using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Reads experiments as the API shows them: the same few queries for any number of them.</summary>
internal static class ExperimentRows
{
    /// <summary>The metric whose curve says how good an experiment was on the way.</summary>
    private const string ValidationAccuracy = "validationAccuracy";

    public static async Task<List<ExperimentResponse>> ToResponsesAsync(
        this IQueryable<Experiment> experiments, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var rows = await Read(db, experiments).ToListAsync(cancellationToken);
        var queued = rows.Select(row => row.Experiment).Where(experiment => experiment.Status == ExperimentStatus.Queued);
        var reasons = await WaitingReasons.ReadAsync(db, queued, cancellationToken);
        return [.. rows.Select(row => ToResponse(row, reasons))];
    }

    public static ExperimentParameters ReadParameters(JsonElement parameters) => parameters.Deserialize<ExperimentParameters>(ContractJson.Options)!;

    private static IQueryable<Row> Read(ExperimentsDbContext db, IQueryable<Experiment> experiments) =>
        from experiment in experiments.AsNoTracking()
        select new Row(
            experiment,
            db.Models.Where(model => model.Id == experiment.ModelId).Select(model => model.Name).First(),
            experiment.Trajectory!.Status,
            experiment.Trajectory.Step,
            db.DataSetVersions.Where(version => version.Id == experiment.Trajectory.DataSetVersionId).Select(version => version.TrainCount).First(),
            // At most 1: a curve may hold what is not a number.
            db.MetricPoints
                .Where(point => point.TrajectoryId == experiment.TrajectoryId && point.Name == ValidationAccuracy
                    && point.Step <= experiment.TotalSteps && point.Value <= 1)
                .OrderByDescending(point => point.Value).ThenBy(point => point.Step)
                .FirstOrDefault());

    private static ExperimentResponse ToResponse(Row row, WaitingReasons reasons)
    {
        var experiment = row.Experiment;
        var parameters = ReadParameters(experiment.Parameters);
        var step = experiment switch
        {
            { Status: ExperimentStatus.Completed } => experiment.EndedAtStep ?? experiment.TotalSteps,
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
            experiment.Tags,
            experiment.ModelId,
            row.ModelName,
            experiment.StudyId,
            experiment.Status,
            experiment.Status == ExperimentStatus.Queued ? reasons.Of(experiment, row.TrajectoryStatus, row.TrajectoryStep) : null,
            step,
            experiment.TotalSteps,
            Math.Round(step / Math.Ceiling((double)row.TrainCount / parameters.BatchSize), 4),
            parameters,
            experiment.Accuracy,
            atTheEnd ? experiment.Accuracy : best?.Value,
            atTheEnd ? step : best?.Step,
            experiment.TestAccuracy,
            experiment.Loss,
            experiment.MeanSquaredError,
            experiment.Diverged,
            experiment.StoppedEarly,
            experiment.CreatedAt,
            experiment.StartedAt,
            experiment.FinishedAt,
            experiment.DurationSeconds,
            experiment.SavedSeconds,
            ImagesPerSecond(experiment, row.TrainCount, parameters.BatchSize),
            experiment.Worker,
            experiment.Error,
            experiment.Priority,
            experiment.StartAt,
            experiment.Adjustment?.Deserialize<Adjustment>(ContractJson.Options));
    }

    /// <summary>Each epoch takes every image once, its last batch what is left. Of what diverged long ago nobody noted how many steps were trained.</summary>
    private static double? ImagesPerSecond(Experiment experiment, int trainCount, int batchSize)
    {
        if (experiment is { Diverged: true, EndedAtStep: null } or not { DurationSeconds: > 0 })
            return null;
        var (epochs, rest) = Math.DivRem(experiment.EndedAtStep ?? experiment.TotalSteps, (trainCount + batchSize - 1) / batchSize);
        var images = ((long)epochs * trainCount) + ((long)rest * batchSize);
        return Math.Round(images / experiment.DurationSeconds.Value, 1);
    }

    private sealed record Row(
        Experiment Experiment, string ModelName, TrajectoryStatus TrajectoryStatus, int TrajectoryStep, int TrainCount, MetricPoint? Best);
}
