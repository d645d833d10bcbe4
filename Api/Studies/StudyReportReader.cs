using System.Reflection;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Studies;

/// <summary>What one experiment of a study tells the report.</summary>
internal sealed record ReportRow(
    Guid Id,
    int Number,
    string Name,
    string[] Tags,
    ExperimentStatus Status,
    JsonElement Parameters,
    int TotalSteps,
    Guid TrajectoryId,
    double? Accuracy,
    double? TestAccuracy,
    double? Loss,
    bool Diverged,
    bool StoppedEarly,
    int? EndedAtStep,
    double? DurationSeconds,
    double? SavedSeconds,
    string? Error,
    string? WeightsHash,
    bool Reproducible,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt)
{
    /// <summary>The last step that was trained; null until it is completed.</summary>
    public int? Step => Status == ExperimentStatus.Completed ? EndedAtStep ?? TotalSteps : null;

    /// <summary>A number, or else a word.</summary>
    public object Value(string parameter) => Parameters.GetProperty(parameter) is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : $"{Parameters.GetProperty(parameter)}";
}

/// <summary>Reads a report: a handful of queries, whatever the number of experiments.</summary>
internal sealed class StudyReportReader(ExperimentsDbContext db, IOptions<SecurityOptions> security, TimeProvider time)
{
    public const int MaxExperiments = 1000;

    private const int MaxCurves = 5;
    private const int MaxPoints = 200;
    private const int MaxResults = 100;
    private const int MaxWorkers = 20;
    private const int MaxErrorLength = 500;

    /// <summary>The report, and all rows for its charts, most accurate first; null where there is no such study.</summary>
    /// <param name="service">Where the service was asked.</param>
    public async Task<(StudyReport Report, IReadOnlyList<ReportRow> Rows)?> ReadAsync(Guid studyId, string service, CancellationToken cancellationToken)
    {
        var found = await (
            from study in db.Studies.AsNoTracking()
            join model in db.Models on study.ModelId equals model.Id
            join version in db.DataSetVersions on study.DataSetVersionId equals version.Id
            where study.Id == studyId
            select new { study, model, version }).SingleOrDefaultAsync(cancellationToken);
        if (found is null)
            return null;
        var rows = await ReadRowsAsync(studyId, cancellationToken);
        var progress = await StudyProgress.ReadAsync(db, studyId, cancellationToken);
        var workers = await ReadWorkersAsync(studyId, cancellationToken);
        var parameters = Varied(rows, found.study.Definition);
        var results = parameters.Any(parameter => parameter.Name == "seed")
            ? await SeedStatistics.ReadAsync(db, studyId, null, minSeeds: 2, 0, MaxResults, cancellationToken)
            : [];
        var best = rows is [{ Status: ExperimentStatus.Completed } first, ..] ? first : null;
        var bestParameters = best is null ? null : ExperimentRows.ReadParameters(best.Parameters);
        var report = new StudyReport(
            studyId,
            found.study.Name,
            found.study.CreatedAt,
            rows.Min(row => row.StartedAt),
            rows.All(row => IsOver(row.Status)) ? rows.Max(row => row.FinishedAt) : null,
            found.study.StoppedAt,
            found.study.StopReason,
            time.GetUtcNow(),
            new(found.model.Id, found.model.Name, found.model.Tags, found.model.Notes, found.model.InputWidth, found.model.InputHeight, found.model.InputChannels),
            new(found.version.Id, found.version.Hash, found.version.Classes, found.version.TrainCount, found.version.ValidationCount, found.version.TestCount),
            found.study.Definition,
            StatusCounts.All(rows.CountBy(row => row.Status).ToDictionary()),
            progress.Share,
            progress.SecondsLeft,
            rows.Sum(row => (row.DurationSeconds - row.SavedSeconds) ?? 0),
            rows.Sum(row => row.SavedSeconds ?? 0),
            parameters,
            best is null ? null : new(best.Id, best.Number, best.Name, bestParameters!, best.StoppedEarly, best.Step!.Value, best.Accuracy ?? 0, best.TestAccuracy, best.WeightsHash, best.Reproducible),
            await ReadCurvesAsync(rows, cancellationToken),
            [.. results.Select(StudyResult.Of)],
            [.. rows.Take(MaxExperiments).Select(ToExperiment)],
            Math.Max(0, rows.Count - MaxExperiments),
            workers,
            new(
                typeof(StudyReportReader).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0],
                TicketQueue.Engine,
                [.. workers.Select(worker => worker.TorchEngine).OfType<string>().Distinct().Order(StringComparer.Ordinal)]),
            new(
                ReportCommandLines.Generate(service, found.model.Id, found.study.Name, found.study.Definition, !string.IsNullOrEmpty(security.Value.ApiKey)),
                bestParameters is null ? null : ReportCommandLines.Train(bestParameters, found.model)));
        return (report, rows);
    }

    private async Task<List<ReportRow>> ReadRowsAsync(Guid studyId, CancellationToken cancellationToken) =>
        await db.Experiments.AsNoTracking().Where(experiment => experiment.StudyId == studyId)
            .OrderBy(experiment => experiment.Accuracy == null).ThenByDescending(experiment => experiment.Accuracy)
            .ThenBy(experiment => experiment.TotalSteps).ThenBy(experiment => experiment.Number)
            .Select(experiment => new ReportRow(
                experiment.Id, experiment.Number, experiment.Name, experiment.Tags, experiment.Status, experiment.Parameters, experiment.TotalSteps, experiment.TrajectoryId,
                experiment.Accuracy, experiment.TestAccuracy, experiment.Loss, experiment.Diverged, experiment.StoppedEarly, experiment.EndedAtStep, experiment.DurationSeconds, experiment.SavedSeconds,
                experiment.Error == null ? null : experiment.Error.Substring(0, MaxErrorLength),
                experiment.WeightsHash, experiment.Reproducible, experiment.StartedAt, experiment.FinishedAt))
            .ToListAsync(cancellationToken);

    /// <summary>Of trainings, not of experiments: those that differ only in steps have the same curve.</summary>
    private async Task<IReadOnlyList<ReportCurve>> ReadCurvesAsync(List<ReportRow> rows, CancellationToken cancellationToken)
    {
        var drawn = rows.Where(row => row.Status == ExperimentStatus.Completed).DistinctBy(row => row.TrajectoryId).Take(MaxCurves).ToList();
        var ids = drawn.ConvertAll(row => row.Id).ToArray();
        var points = await db.Database.SqlQuery<CurvePoint>(
            $"""
            SELECT experiment AS "ExperimentId", step AS "Step", value AS "Value" FROM (
                SELECT experiments.id AS experiment, points.step, points.value,
                       row_number() OVER (PARTITION BY experiments.id ORDER BY points.step DESC) - 1 AS place,
                       (count(*) OVER (PARTITION BY experiments.id) + {MaxPoints} - 1) / {MaxPoints} AS stride
                FROM metric_points AS points JOIN experiments USING (trajectory_id)
                WHERE experiments.id = ANY ({ids}) AND points.name = 'validationAccuracy' AND points.step <= experiments.total_steps
                  AND points.value BETWEEN 0 AND 1) AS placed
            WHERE place % stride = 0 ORDER BY step
            """).ToListAsync(cancellationToken);
        var curves = points.ToLookup(point => point.ExperimentId, point => new ReportPoint(point.Step, point.Value));
        return [.. drawn.Where(row => curves.Contains(row.Id)).Select(row => new ReportCurve(row.Id, row.Number, row.Name, [.. curves[row.Id]]))];
    }

    private Task<List<ReportWorker>> ReadWorkersAsync(Guid studyId, CancellationToken cancellationToken) => db.Database.SqlQuery<ReportWorker>(
        $"""
        SELECT attempts.worker_name AS "Name", count(*)::int AS "Attempts", min(attempts.started_at) AS "FirstAt",
               max(COALESCE(attempts.finished_at, now())) AS "LastAt", max(workers.host) AS "Host", max(workers.version) AS "Version",
               max(workers.torch_engine) AS "TorchEngine", max(workers.job_engine) AS "JobEngine"
        FROM attempts LEFT JOIN workers ON workers.id = attempts.worker_id
        WHERE attempts.trajectory_id IN (SELECT trajectory_id FROM experiments WHERE study_id = {studyId})
        GROUP BY attempts.worker_name ORDER BY count(*) DESC, attempts.worker_name LIMIT {MaxWorkers}
        """).ToListAsync(cancellationToken);

    /// <summary>What differs among the experiments themselves: some may have been adjusted since they were generated.</summary>
    private static List<ReportParameter> Varied(List<ReportRow> rows, JsonElement definition)
    {
        var space = definition.TryGetProperty("space", out var given)
            ? given.EnumerateObject().Select(member => member.Name == ParameterDefinition.Epochs ? ParameterDefinition.Steps : member.Name).ToList()
            : [];
        var names = space.Concat(ParameterDefinition.All.Keys).Where(name => name != ParameterDefinition.Epochs).Distinct();
        return
        [
            .. from name in names
               let values = rows.GroupBy(row => row.Value(name)).ToList()
               where values.Count > 1
               select new ReportParameter(name, [.. values.OrderBy(value => value.Key).Select(value => new ReportValue(
                   JsonSerializer.SerializeToElement(value.Key),
                   value.Count(),
                   value.Count(row => row.Accuracy is not null),
                   value.Max(row => row.Accuracy),
                   value.Average(row => row.Accuracy)))]),
        ];
    }

    private static ReportExperiment ToExperiment(ReportRow row) => new(
        row.Id,
        row.Number,
        row.Name,
        row.Tags,
        row.Status,
        ExperimentRows.ReadParameters(row.Parameters),
        row.Accuracy,
        row.TestAccuracy,
        row.Loss,
        row.Diverged,
        row.StoppedEarly,
        row.Step,
        row.DurationSeconds,
        row.SavedSeconds,
        row.Error);

    private static bool IsOver(ExperimentStatus status) =>
        status is ExperimentStatus.Completed or ExperimentStatus.Cancelled or ExperimentStatus.Failed or ExperimentStatus.Pruned;

    private sealed record CurvePoint(Guid ExperimentId, int Step, double Value);
}
