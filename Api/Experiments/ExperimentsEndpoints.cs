using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Looks at experiments: single ones, curves, the best.</summary>
internal static class ExperimentsEndpoints
{
    private const int MaxBest = 1000;

    internal const string ExampleParameters = """
        {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam", "momentum": 0, "weightDecay": 0,
         "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0,
         "schedule": "constant", "decayEvery": 1000, "decayFactor": 0.5, "warmUpSteps": 0, "augmentShift": 0, "augmentRotate": 0, "augmentScale": 0,
         "classWeights": "none", "patience": 0, "patienceMetric": "loss", "precision": "float32"}
        """;

    internal const string DataSetVersionExample = """
        {"id": "01980c3e-5c2d-7e3f-8a4b-9c5d6e7f8a9b", "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "isCurrent": true}
        """;

    private const string ExampleHead = """
        "id": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "number": 5, "name": "lr 0.001, layers 2, steps 2000", "tags": ["baseline"], "modelId": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d",
        "modelName": "Digits", "studyId": "01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f",
        """ + "\"parameters\": " + ExampleParameters;

    internal const string QueuedExample = "{" + ExampleHead + """
        , "status": "queued", "waitingFor": "a free slot: all 2 are busy", "step": 0, "totalSteps": 2000, "epoch": 0,
        "accuracy": null, "bestAccuracy": null, "bestStep": null, "testAccuracy": null, "loss": null, "meanSquaredError": null, "diverged": false, "stoppedEarly": false,
        "createdAt": "2026-03-01T09:00:00+00:00", "startedAt": null, "finishedAt": null, "durationSeconds": null, "savedSeconds": null, "imagesPerSecond": null, "worker": null, "error": null,
        "priority": 0, "startAt": null, "adjustment": null}
        """;

    internal const string CompletedExample = ExampleHead + """
        , "status": "completed", "waitingFor": null, "step": 2000, "totalSteps": 2000, "epoch": 2.6667,
        "accuracy": 0.989, "bestAccuracy": 0.991, "bestStep": 1900, "testAccuracy": 0.9885, "loss": 0.034, "meanSquaredError": 0.0016, "diverged": false, "stoppedEarly": false,
        "createdAt": "2026-03-01T09:00:00+00:00", "startedAt": "2026-03-01T09:00:02+00:00", "finishedAt": "2026-03-01T09:00:25+00:00",
        "durationSeconds": 21.4, "savedSeconds": 10.6, "imagesPerSecond": 5981.3, "worker": "worker-1", "error": null,
        "priority": 0, "startAt": null, "adjustment": null
        """;

    private const string DetailExample = "{" + CompletedExample + """
        , "trajectoryId": "01980c3f-2b3c-7d4e-9f50-6b7c8d9e0f1a", "dataSetVersionId": "01980c3e-5c2d-7e3f-8a4b-9c5d6e7f8a9b", "reproducible": true,
        "weightsHash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "queuedAt": "2026-03-01T09:00:00+00:00", "notes": "The first that beats the old model.",
        "attempts": [{"worker": "worker-1", "fromStep": 0, "toStep": 4000, "startedAt": "2026-03-01T09:00:02+00:00",
                      "finishedAt": "2026-03-01T09:00:47+00:00", "outcome": "completed", "error": null}]}
        """;

    public static void MapExperiments(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Experiments");
        group.MapGet("/models/{id:guid}/best", GetBest)
            .WithSummary("The best parameters of a model, and the accuracy of every experiment on the same images")
            .WithDescription(
                "Best is the highest validation accuracy on the images that the model has now; ties go to fewer steps. While no experiment on them is completed, it " +
                "is that on the newest data set version that has one, and dataSetVersion says that it is not current. By mean, it is the most accurate experiment of the parameters whose " +
                "mean over two seeds or more is highest: less a matter of luck. The list of experiments holds at most the 1,000 most accurate.")
            .WithExamples(response: "{\"experimentId\": \"01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f\", \"parameters\": " + ExampleParameters
                + ", \"accuracy\": 0.989, \"testAccuracy\": 0.9885, \"seeds\": null, \"meanAccuracy\": null, \"standardDeviation\": null, \"dataSetVersion\": " + DataSetVersionExample + ", \"experiments\": [{\"id\": \"01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f\", \"parameters\": "
                + ExampleParameters + ", \"accuracy\": 0.989}]}")
            .WithExample(409, "{\"title\": \"Conflict\", \"status\": 409, \"detail\": \"" + BestExperiments.NoneYet + "\"}")
            .Fails(400, 404, 409);
        group.MapGet("/experiments/{id:guid}", GetExperiment)
            .WithSummary("One experiment, with the attempts at training it")
            .WithDescription("Experiments that differ only in steps share a trajectory, and with it the attempts. One that is completed at a step below totalSteps diverged, or was stopped " +
                "early by parameters.patience: its results are those of that step.")
            .WithExamples(response: DetailExample)
            .Fails(404);
        group.MapGet("/experiments/{id:guid}/metrics", GetMetrics)
            .WithSummary("An experiment's curves, up to its last step")
            .WithDescription("Of a running one they grow: send the last step as after to get what is new.")
            .WithExamples(response: """
                {"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "step": 200, "totalSteps": 2000,
                 "curves": {"loss": [{"step": 100, "value": 0.61}, {"step": 200, "value": 0.27}], "validationAccuracy": [{"step": 100, "value": 0.93}, {"step": 200, "value": 0.955}]}}
                """)
            .Fails(400, 404);
    }

    private static async Task<Results<Ok<BestResponse>, ValidationProblem, ProblemHttpResult>> GetBest(
        Guid id,
        ExperimentsDbContext db,
        [Description("accuracy (the default), or mean: over the seeds of its parameters."), AllowedValues("accuracy", "mean", ErrorMessage = "by is accuracy or mean.")] string by = "accuracy",
        CancellationToken cancellationToken = default)
    {
        if (await BestExperiments.FindVersionAsync(db, id, cancellationToken) is not { } version)
            return await db.Models.AnyAsync(model => model.Id == id, cancellationToken)
                ? Problems.Conflict(BestExperiments.NoneYet)
                : Problems.NotFound("model", id);
        var group = by == "accuracy"
            ? null
            : (await SeedStatistics.ReadAsync(db, null, version.Id, minSeeds: 2, skip: 0, take: 1, cancellationToken)).FirstOrDefault();
        if (by == "mean" && group is null)
            return Problems.Conflict("No parameters were trained with two seeds on these images yet: generate experiments with replicates, and wait for two to complete.");
        if (await BestExperiments.FindCompletedAsync(db, id, group?.MostAccurate ?? version.ExperimentId, cancellationToken) is not { } best)
            return Problems.Conflict(BestExperiments.NoneYet);
        var scored = await db.Experiments.AsNoTracking()
            .Where(experiment => experiment.ModelId == id && experiment.Status == ExperimentStatus.Completed
                && experiment.Trajectory!.DataSetVersionId == version.Id)
            .OrderBy(experiment => -experiment.Accuracy).ThenBy(experiment => experiment.TotalSteps).ThenBy(experiment => experiment.Number)
            .Take(MaxBest)
            .Select(experiment => new { experiment.Id, experiment.Parameters, experiment.Accuracy })
            .ToListAsync(cancellationToken);
        return TypedResults.Ok(new BestResponse(
            best.Id,
            best.Parameters,
            best.Accuracy,
            best.TestAccuracy,
            group?.Seeds,
            group?.Mean,
            group?.Deviation,
            version.ToResponse(),
            [.. scored.Select(experiment => new ScoredExperiment(experiment.Id, ExperimentRows.ReadParameters(experiment.Parameters), experiment.Accuracy ?? 0))]));
    }

    private static async Task<Results<Ok<ExperimentDetail>, ProblemHttpResult>> GetExperiment(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (await db.Experiments.Where(experiment => experiment.Id == id).ToResponsesAsync(db, cancellationToken) is not [var response])
            return Problems.NotFound("experiment", id);
        var more = await db.Experiments.Where(experiment => experiment.Id == id)
            .Select(experiment => new { experiment.TrajectoryId, experiment.Trajectory!.DataSetVersionId, experiment.Reproducible, experiment.WeightsHash, experiment.QueuedAt, experiment.Notes })
            .SingleOrDefaultAsync(cancellationToken);
        if (more is null)
            return Problems.NotFound("experiment", id);
        return TypedResults.Ok(new ExperimentDetail(response)
        {
            TrajectoryId = more.TrajectoryId,
            DataSetVersionId = more.DataSetVersionId,
            Reproducible = more.Reproducible,
            WeightsHash = more.WeightsHash,
            QueuedAt = more.QueuedAt,
            Notes = more.Notes,
            Attempts = await AttemptsOf(db, more.TrajectoryId)
                .Select(attempt => new AttemptResponse(
                    attempt.WorkerName, attempt.FromStep, attempt.ToStep, attempt.StartedAt, attempt.FinishedAt, attempt.Outcome, attempt.Error))
                .ToListAsync(cancellationToken),
        });
    }

    /// <summary>Of a trajectory that was forked off another, with those that trained the steps before; newest first.</summary>
    private static IQueryable<Attempt> AttemptsOf(ExperimentsDbContext db, Guid trajectoryId) =>
        db.Attempts.FromSql(
            $"""
            WITH RECURSIVE line AS (
                SELECT id, parent_id, forked_at_step, 2147483647 AS before FROM trajectories WHERE id = {trajectoryId}
                UNION ALL
                SELECT parent.id, parent.parent_id, parent.forked_at_step, line.forked_at_step
                FROM trajectories AS parent JOIN line ON parent.id = line.parent_id)
            SELECT attempts.* FROM attempts JOIN line ON line.id = attempts.trajectory_id AND attempts.from_step < line.before
            """)
            .AsNoTracking().OrderByDescending(attempt => attempt.StartedAt).ThenByDescending(attempt => attempt.Fence).Take(100);

    private static async Task<Results<Ok<MetricsResponse>, ProblemHttpResult>> GetMetrics(
        Guid id,
        ExperimentsDbContext db,
        [Description("At most so many points a curve, 2 to 10,000; more are thinned out evenly, keeping the last."), Range(2, 10_000, ErrorMessage = "maxPoints is 2 to 10000.")] int maxPoints = 1000,
        [Description("Only points after this step: what is new since the last call."), Range(0, int.MaxValue, ErrorMessage = "after is a step, 0 or more.")] int after = 0,
        CancellationToken cancellationToken = default)
    {
        if (await db.Experiments.Where(experiment => experiment.Id == id).ToResponsesAsync(db, cancellationToken) is not [var experiment])
            return Problems.NotFound("experiment", id);
        // Places count from the end, so that the last point stays.
        var points = await db.Database.SqlQuery<CurvePoint>(
            $"""
            SELECT name, step, value FROM (
                SELECT points.name, points.step, points.value,
                       row_number() OVER (PARTITION BY points.name ORDER BY points.step DESC) - 1 AS place,
                       (count(*) OVER (PARTITION BY points.name) + {maxPoints} - 1) / {maxPoints} AS stride
                FROM metric_points AS points JOIN experiments USING (trajectory_id)
                WHERE experiments.id = {id} AND points.step <= experiments.total_steps AND points.step > {(after == 0 ? -1 : after)}
            ) AS placed
            WHERE place % stride = 0 ORDER BY name, step
            """).ToListAsync(cancellationToken);
        return TypedResults.Ok(new MetricsResponse(
            id,
            experiment.Step,
            experiment.TotalSteps,
            points.GroupBy(point => point.Name).ToDictionary(
                curve => curve.Key,
                IReadOnlyList<PointResponse> (curve) => [.. curve.Select(point => new PointResponse(point.Step, point.Value))])));
    }

    private sealed record CurvePoint(string Name, int Step, double Value);
}
