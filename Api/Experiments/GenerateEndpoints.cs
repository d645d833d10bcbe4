using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Experiments;

/// <summary>Makes experiments, and has them trained.</summary>
internal static class GenerateEndpoints
{
    internal const string Example = "{\"id\": \"01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f\", \"name\": \"Learning rates\", \"modelId\": \"01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d\", \"trajectories\": 4, \"experiments\": ["
        + ExperimentsEndpoints.QueuedExample + "], \"existing\": []}";

    internal const string ExistingExample =
        "{\"id\": null, \"name\": null, \"modelId\": \"01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d\", \"trajectories\": 1, \"experiments\": [], \"existing\": ["
        + ExperimentsEndpoints.QueuedExample + "]}";

    public static void MapGenerate(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models/{id:guid}").WithTags("Experiments");
        group.MapPost("/experiments", GenerateExperiments)
            .WithSummary("Generates experiments and starts them: without a body the 27 of three learning rates, depths and lengths")
            .WithDescription(
                "Every combination of the space's values becomes an experiment on the model's present images. What the model has already is " +
                "not trained again but answered as existing, and drafts among it are queued when start is true. Where everything existed, " +
                "the answer is 200 and there is no new study. At most 10,000 experiments a request. limits.running holds the study back, so that others get slots too.")
            .WithExamples(
                """
                {"name": "Learning rates", "space": {"learningRate": {"min": 0.0001, "max": 0.1, "scale": "log", "count": 4}, "steps": [1000, 2000]},
                 "fixed": {"layers": 2, "batchSize": 64}, "strategy": {"sampler": "grid"},
                 "objective": {"metric": "accuracy", "direction": "maximize"}, "limits": {"running": 2}, "start": true}
                """,
                Example)
            .WithExample(200, ExistingExample)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The model has no images: upload some first."}""")
            .TakesIdempotencyKey()
            .Fails(400, 404, 409, 413, 415);
        group.MapPost("/experiments/preview", PreviewExperiments)
            .WithSummary("Says what generating would come to: new and existing experiments, trainings, and about how long they take")
            .WithDescription("Takes what generate takes, refuses what it refuses, and makes nothing.")
            .WithExamples(
                """{"space": {"learningRate": [0.001, 0.01, 0.1], "layers": [1, 2, 4], "steps": [1000, 2000, 4000]}}""",
                """{"experiments": 27, "existing": 0, "trajectories": 9, "steps": 36000, "slots": 2, "estimatedSeconds": 452.3}""")
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The model has no images: upload some first."}""")
            .Fails(400, 404, 409, 413, 415);
        group.MapPost("/train", TrainDrafts)
            .WithSummary("Queues every draft experiment of the model; none left is no error")
            .WithDescription("Drafts are what was generated with start false. Workers take them by priority and age.")
            .WithExamples(response: """{"queued": 27}""")
            .WithExample(409, Problems.ArchivedExample)
            .TakesIdempotencyKey()
            .Fails(404, 409);
    }

    private static Task<Results<Created<GenerateResponse>, Ok<GenerateResponse>, ValidationProblem, ProblemHttpResult>> GenerateExperiments(
        Guid id, [AsParameters] GenerationServices services, [FromBody] GenerateRequest? request = null, CancellationToken cancellationToken = default) =>
        Generation.RunAsync(services, id, request ?? new GenerateRequest(), cancellationToken);

    private static Task<Results<Ok<PreviewResponse>, ValidationProblem, ProblemHttpResult>> PreviewExperiments(
        Guid id, ExperimentsDbContext db, TimeProvider time, [FromBody] GenerateRequest? request = null, CancellationToken cancellationToken = default) =>
        GenerationPreview.RunAsync(db, time, id, request ?? new GenerateRequest(), cancellationToken);

    private static async Task<Results<Ok<TrainResponse>, ProblemHttpResult>> TrainDrafts(
        Guid id, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(id);
        return TypedResults.Ok(new TrainResponse(await TrajectoryQueue.QueueDraftsAsync(db, queue, id, cancellationToken)));
    }
}
