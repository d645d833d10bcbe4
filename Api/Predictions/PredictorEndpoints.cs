using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

/// <summary>Says which experiment answers a model's predictions, and lets people choose it.</summary>
internal static class PredictorEndpoints
{
    private const string NothingBefore = "There is nothing to roll back to: no earlier choice is kept. PUT chooses an experiment, DELETE goes back to the best one.";

    private const string Diverged = "This experiment diverged: its weights give no probabilities. Choose another one.";

    private const string Example = """
        {"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters":
        """ + ExperimentsEndpoints.ExampleParameters + """
        , "accuracy": 0.989, "chosen": true, "since": "2026-03-01T10:00:00+00:00",
         "history": [{"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "action": "chosen", "at": "2026-03-01T10:00:00+00:00"}]}
        """;

    public static void MapPredictors(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models/{id:guid}/predictor").WithTags("Predictions");
        group.MapGet("/", GetPredictor)
            .WithSummary("The experiment that answers the model's predictions: the best one, unless another was chosen")
            .WithDescription("Unless one was chosen, it is the best, and changes with it. The latest changes come with it.")
            .WithExamples(response: Example)
            .Fails(404);
        group.MapPut("/", ChoosePredictor)
            .WithSummary("Promotes a completed experiment: it answers the model's predictions from now on, whatever is better")
            .WithDescription("Predictions that name an experiment are not touched, nor are those that wait already. The one that answers already is no error, and no change.")
            .WithExamples("""{"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f"}""", Example)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The experiment is running: only a completed one can predict."}""")
            .Fails(400, 404, 409, 413, 415);
        group.MapDelete("/", FollowBest)
            .WithSummary("Goes back to following the best experiment")
            .WithDescription("Whatever is the best from then on answers predictions that name no experiment.")
            .WithExamples()
            .Fails(404);
        group.MapPost("/rollback", RollBackPredictor)
            .WithSummary("Returns to what answered before the last change; once more, to what was before that")
            .WithDescription("Several times in a row it goes further back.")
            .WithExamples(response: Example)
            .WithExample(409, "{\"title\": \"Conflict\", \"status\": 409, \"detail\": \"" + NothingBefore + "\"}")
            .TakesIdempotencyKey()
            .Fails(404, 409);
    }

    private static async Task<Results<Ok<PredictorResponse>, ProblemHttpResult>> GetPredictor(
        Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        await db.Models.AnyAsync(model => model.Id == id, cancellationToken)
            ? TypedResults.Ok(await ReadAsync(db, id, cancellationToken))
            : Problems.NotFound("model", id);

    private static async Task<Results<Ok<PredictorResponse>, ValidationProblem, ProblemHttpResult>> ChoosePredictor(
        Guid id, ChoosePredictorRequest request, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (!await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        var experiment = await db.Experiments.Where(candidate => candidate.Id == request.ExperimentId && candidate.ModelId == id)
            .Select(candidate => new { candidate.Status, candidate.Diverged, candidate.Loss })
            .SingleOrDefaultAsync(cancellationToken);
        if (experiment is null)
            return Problems.Invalid("experimentId", $"The model has no experiment {request.ExperimentId}; its list of experiments shows their ids.");
        if (experiment.Status != ExperimentStatus.Completed)
            return Problems.Conflict($"The experiment is {StatusCounts.Name(experiment.Status)}: only a completed one can predict.");
        if (experiment.Diverged || experiment.Loss is not { } loss || !double.IsFinite(loss))
            return Problems.Conflict(Diverged);
        return await Predictors.ChooseAsync(db, id, request.ExperimentId, cancellationToken)
            ? TypedResults.Ok(await ReadAsync(db, id, cancellationToken))
            : Problems.NotFound("model", id);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> FollowBest(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        await Predictors.ChooseAsync(db, id, null, cancellationToken) ? TypedResults.NoContent() : Problems.NotFound("model", id);

    private static async Task<Results<Ok<PredictorResponse>, ProblemHttpResult>> RollBackPredictor(
        Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (await Predictors.RollBackAsync(db, id, cancellationToken))
            return TypedResults.Ok(await ReadAsync(db, id, cancellationToken));
        return await db.Models.AnyAsync(model => model.Id == id, cancellationToken) ? Problems.Conflict(NothingBefore) : Problems.NotFound("model", id);
    }

    private static async Task<PredictorResponse> ReadAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        var history = await db.PredictorChoices.AsNoTracking().Where(choice => choice.ModelId == modelId)
            .OrderByDescending(choice => choice.Number).Take(Predictors.MaxHistory)
            .ToListAsync(cancellationToken);
        var experiment = await Predictors.FindAsync(db, modelId, cancellationToken);
        return new PredictorResponse(
            experiment?.Id,
            experiment?.Parameters,
            experiment?.Accuracy,
            history is [{ ExperimentId: not null }, ..],
            history is [var current, ..] ? current.ChosenAt : null,
            [.. history.Select(choice => new PredictorChangeResponse(choice.ExperimentId, choice.Action, choice.ChosenAt))]);
    }
}
