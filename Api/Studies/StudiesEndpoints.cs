using System.ComponentModel;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Studies;

internal static class StudiesEndpoints
{
    private const string Example = """
        "id": "01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f", "name": "Grid: 3 learningRate, 3 layers, 3 steps", "modelId": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d",
        "dataSetVersionId": "01980c3e-5c2d-7e3f-8a4b-9c5d6e7f8a9b", "createdAt": "2026-03-01T09:00:00+00:00"
        """;

    public static void MapStudies(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/studies").WithTags("Studies");
        group.MapGet("/", ListStudies)
            .WithSummary("Lists studies, newest first")
            .WithDescription("Of all models, or of one.")
            .WithExamples(response: "{\"items\": [{" + Example + "}], \"nextCursor\": null}")
            .Fails(400);
        group.MapGet("/{id:guid}", GetStudy)
            .WithSummary("One study: what it explores, its experiments by status, and how far it is")
            .WithDescription("Good to be asked every few seconds: it costs little, whatever the number of experiments.")
            .WithExamples(response: "{" + Example + """
                , "definition": {"space": {"learningRate": [0.001, 0.01, 0.1], "layers": [1, 2, 4], "steps": [1000, 2000, 4000]}, "fixed": {},
                                 "strategy": {"sampler": "grid"}, "objective": {"metric": "accuracy", "direction": "maximize"}, "limits": {"running": 2, "seconds": 3600, "failures": 5}, "start": true,
                                 "replicates": 1, "priority": 0},
                "experiments": {"draft": 0, "queued": 3, "running": 2, "completed": 22, "paused": 0, "cancelled": 0, "failed": 0, "pruned": 0},
                "progress": 0.84, "estimatedSecondsLeft": 61, "trainedSeconds": 312.5, "savedSeconds": 187.9, "stoppedAt": null, "stopReason": null}
                """)
            .Fails(404);
        group.MapGet("/{id:guid}/results", GetResults)
            .WithSummary("A study's accuracies by parameters: mean and deviation over seeds, best mean first")
            .WithDescription(
                "Experiments that differ only in seed or replicate are one line: generate with replicates makes several of each. A line's deviation tells how much of the " +
                "difference to the next one is chance.")
            .WithExamples(response: """
                {"items": [{"parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam", "momentum": 0, "weightDecay": 0,
                                           "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn"},
                            "experiments": 5, "seeds": 5, "meanAccuracy": 0.9874, "standardDeviation": 0.0011, "lowestAccuracy": 0.986, "highestAccuracy": 0.989,
                            "mostAccurateId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f"}], "nextCursor": null}
                """)
            .Fails(400, 404);
        group.MapPost("/{id:guid}/clone", CloneStudy)
            .WithSummary("Generates a study's experiments once more, on the images that the model has now, as they were or with changes")
            .WithDescription(
                "The body may have what generate takes; what it has replaces the study's own whole. The answer is that of generate: on unchanged images, what the study " +
                "has is existing, and where everything is, there is no new study.")
            .WithExamples("""{"name": "Once more, with another seed", "fixed": {"seed": 1}, "limits": {"running": 1}}""", GenerateEndpoints.Example)
            .WithExample(200, GenerateEndpoints.ExistingExample)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The model has no images: upload some first."}""")
            .TakesIdempotencyKey()
            .Fails(400, 404, 409, 413, 415);
    }

    private static async Task<Results<Ok<Page<StudyResponse>>, ValidationProblem>> ListStudies(
        [AsParameters] PageQuery page,
        ExperimentsDbContext db,
        [Description("Only studies of this model.")] Guid? modelId = null,
        CancellationToken cancellationToken = default)
    {
        var list = $"studies {modelId}";
        if (!Cursor.TryDecode<Position>(page, list, out var after, out var problem))
            return problem;
        var items = await db.Studies.AsNoTracking()
            .Where(study => modelId == null || study.ModelId == modelId)
            .Where(study => after == null || study.CreatedAt < after.CreatedAt || (study.CreatedAt == after.CreatedAt && study.Id < after.Id))
            .OrderByDescending(study => study.CreatedAt).ThenByDescending(study => study.Id)
            .Take(page.Size + 1)
            .Select(study => new StudyResponse(study.Id, study.Name, study.ModelId, study.DataSetVersionId, study.CreatedAt))
            .ToListAsync(cancellationToken);
        return TypedResults.Ok(Pages.Cut(items, page, list, last => new Position(last.CreatedAt, last.Id)));
    }

    private static async Task<Results<Ok<StudyDetail>, ProblemHttpResult>> GetStudy(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (await db.Studies.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } study)
            return Problems.NotFound("study", id);
        var statuses = await StatusCounts.ReadAsync(db.Experiments.Where(experiment => experiment.StudyId == id), cancellationToken);
        var (progress, secondsLeft) = await StudyProgress.ReadAsync(db, id, cancellationToken);
        var seconds = await db.Experiments.Where(experiment => experiment.StudyId == id && experiment.Status == ExperimentStatus.Completed)
            .GroupBy(_ => true)
            .Select(all => new { Needed = all.Sum(experiment => experiment.DurationSeconds) ?? 0, Saved = all.Sum(experiment => experiment.SavedSeconds) ?? 0 })
            .SingleOrDefaultAsync(cancellationToken);
        return TypedResults.Ok(new StudyDetail(
            study.Id,
            study.Name,
            study.ModelId,
            study.DataSetVersionId,
            study.CreatedAt,
            study.Definition,
            StatusCounts.All(statuses),
            progress,
            secondsLeft,
            seconds is null ? 0 : Math.Round(seconds.Needed - seconds.Saved, 1),
            Math.Round(seconds?.Saved ?? 0, 1),
            study.StoppedAt,
            study.StopReason));
    }

    private static async Task<Results<Ok<Page<StudyResult>>, ValidationProblem, ProblemHttpResult>> GetResults(
        Guid id, [AsParameters] PageQuery page, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var list = $"results {id}";
        if (!Cursor.TryDecode<Place>(page, list, out var after, out var problem))
            return problem;
        var skip = after?.Skip ?? 0;
        if (skip is < 0 or > Generation.MaxExperiments)
            return Cursor.Foreign();
        if (!await db.Studies.AnyAsync(study => study.Id == id, cancellationToken))
            return Problems.NotFound("study", id);
        var groups = await SeedStatistics.ReadAsync(db, id, null, minSeeds: 0, skip, page.Size + 1, cancellationToken);
        return TypedResults.Ok(Pages.Cut([.. groups.Select(StudyResult.Of)], page, list, _ => new Place(skip + page.Size)));
    }

    private static async Task<Results<Created<GenerateResponse>, Ok<GenerateResponse>, ValidationProblem, ProblemHttpResult>> CloneStudy(
        Guid id, [AsParameters] GenerationServices services, [FromBody] CloneStudyRequest? request = null, CancellationToken cancellationToken = default) =>
        await services.Db.Studies.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is { } study
            ? await Generation.RunAsync(services, study.ModelId, StudyClone.Request(study, request ?? new CloneStudyRequest()), cancellationToken)
            : Problems.NotFound("study", id);

    private sealed record Place(int Skip);

    private sealed record Position(DateTimeOffset CreatedAt, Guid Id);
}
