using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Control;

/// <summary>Pause, resume, cancel, retry and adjust: one experiment, a study, or a selection.</summary>
internal static class ControlEndpoints
{
    private const string Selection = """{"where": {"studyId": "01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f", "status": ["queued", "running"]}}""";
    private const string Result = """{"changed": 5, "unchanged": {"completed": 22}, "missing": []}""";

    private static readonly Dictionary<ControlAction, (string One, string Many)> Summaries = new()
    {
        [ControlAction.Pause] = ("Pauses an experiment at the next step, with a checkpoint to go on from at any time, on any worker", "Pauses experiments"),
        [ControlAction.Resume] = ("Lets a paused experiment go on where it stopped", "Lets paused experiments go on"),
        [ControlAction.Cancel] = ("Gives an experiment up; what its trajectory has trained is kept for others and for a retry", "Gives experiments up"),
        [ControlAction.Retry] = ("Lets an experiment that failed, was cancelled or pruned try again, from its last checkpoint", "Lets experiments that failed, were cancelled or pruned try again"),
    };

    public static void MapControl(this IEndpointRouteBuilder routes)
    {
        var experiments = routes.MapGroup("/api/experiments").WithTags("Control");
        var studies = routes.MapGroup("/api/studies").WithTags("Control");
        foreach (var action in ControlAction.All)
        {
            var name = char.ToUpperInvariant(action.Verb[0]) + action.Verb[1..];
            var (one, many) = Summaries[action];
            experiments.MapPost($"/{{id:guid}}/{action.Verb}", (Guid id, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken) =>
                    ControlExperiment(action, id, db, queue, cancellationToken))
                .WithName($"{name}Experiment")
                .WithSummary(one)
                .WithDescription("Asking again is no mistake. An experiment in a status from which this is impossible is answered 409 with that status.")
                .WithExamples(response: ExperimentsEndpoints.QueuedExample)
                .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The experiment is completed, so it can't be paused any more."}""")
                .Fails(404, 409);
            experiments.MapPost($"/{action.Verb}", (SelectExperimentsRequest request, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken) =>
                    ControlSelection(action, request, db, queue, cancellationToken))
                .WithName($"{name}Experiments")
                .WithSummary($"{many}: those with these ids, or of a model or study")
                .WithDescription("Those in a status from which this is impossible are left alone and counted. Many change in several steps; what is changed when a request is interrupted stays changed.")
                .WithExamples(Selection, Result)
                .WithMetadata(new LeavesBehind("Some of the experiments may be changed already; asking again is safe."))
                .Fails(400, 413, 415);
            studies.MapPost($"/{{id:guid}}/{action.Verb}", (Guid id, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken) =>
                    ControlStudy(action, id, db, queue, cancellationToken))
                .WithName($"{name}Study")
                .WithSummary($"{many}: all of a study")
                .WithDescription("Those in a status from which this is impossible are left alone and counted.")
                .WithExamples(response: Result)
                .WithMetadata(new LeavesBehind("Some of the experiments may be changed already; asking again is safe."))
                .Fails(404);
        }

        experiments.MapPatch("/{id:guid}", UpdateExperiment)
            .WithSummary("Changes an experiment: its name, tags, notes, priority or start, and parameters even while it trains")
            .WithDescription(
                "Before the first step every parameter may change. Later the learning rate may, from the next step boundary on: the experiment then goes on, on a " +
                "trajectory of its own, with everything it has learned; parameters.learningRateChanges keeps from which step which rate held; a schedule goes on from there with the new one. steps may change to any that is still to come. " +
                "Until a worker has come to a step boundary, adjustment shows what waits for it.")
            .WithExamples("""{"parameters": {"learningRate": 0.0005, "steps": 6000}}""", ExperimentsEndpoints.QueuedExample)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The experiment is completed: generate another one, which goes on from its checkpoint when it has more steps."}""")
            .Fails(400, 404, 409, 413, 415);
    }

    private static async Task<Results<Ok<ExperimentResponse>, ProblemHttpResult>> ControlExperiment(
        ControlAction action, Guid id, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken)
    {
        var one = db.Experiments.Where(experiment => experiment.Id == id);
        var changed = await new ExperimentControl(db, queue).ApplyAsync(action, one, cancellationToken);
        if (await one.ToResponsesAsync(db, cancellationToken) is not [var response])
            return Problems.NotFound("experiment", id);
        return changed > 0 || action.IsDone(response.Status)
            ? TypedResults.Ok(response)
            : Problems.Conflict($"The experiment is {StatusCounts.Name(response.Status)}: it can't be {Participle(action)}.");
    }

    private static async Task<Results<Ok<ControlResponse>, ValidationProblem>> ControlSelection(
        ControlAction action, SelectExperimentsRequest request, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken)
    {
        if (request.Ids is null == request.Where is null)
            return Problems.Invalid("ids", "Select the experiments by ids or by where: one of the two.");
        if (request.Where is { ModelId: null, StudyId: null })
            return Problems.Invalid("where", "Give a modelId or a studyId.");
        var selection = db.Experiments.AsQueryable();
        if (request.Ids is { } ids)
            selection = selection.Where(experiment => ids.Contains(experiment.Id));
        if (request.Where?.ModelId is { } modelId)
            selection = selection.Where(experiment => experiment.ModelId == modelId);
        if (request.Where?.StudyId is { } studyId)
            selection = selection.Where(experiment => experiment.StudyId == studyId);
        if (request.Where?.Status is { } statuses)
            selection = selection.Where(experiment => statuses.Contains(experiment.Status));
        if (request.Where is { } where)
        {
            selection = new ExperimentQuery { Search = where.Search, Filter = where.Filter }.Apply(selection, out var problem, "where.");
            if (problem is not null)
                return problem;
        }

        return TypedResults.Ok(await ApplyAsync(action, selection, request.Ids ?? [], db, queue, cancellationToken));
    }

    private static async Task<Results<Ok<ControlResponse>, ProblemHttpResult>> ControlStudy(
        ControlAction action, Guid id, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken)
    {
        if (!await db.Studies.AnyAsync(study => study.Id == id, cancellationToken))
            return Problems.NotFound("study", id);
        return TypedResults.Ok(await ApplyAsync(action, db.Experiments.Where(experiment => experiment.StudyId == id), [], db, queue, cancellationToken));
    }

    private static async Task<ControlResponse> ApplyAsync(
        ControlAction action, IQueryable<Experiment> selection, IReadOnlyList<Guid> ids, ExperimentsDbContext db, TicketQueue queue, CancellationToken cancellationToken)
    {
        // Before: a selection by status holds none of those that were changed.
        var unchanged = await StatusCounts.ReadAsync(selection.Where(experiment => !action.From.Contains(experiment.Status)), cancellationToken);
        var changed = await new ExperimentControl(db, queue).ApplyAsync(action, selection, cancellationToken);
        var found = ids.Count == 0
            ? []
            : await db.Experiments.Where(experiment => ids.Contains(experiment.Id)).Select(experiment => experiment.Id).ToListAsync(cancellationToken);
        return new ControlResponse(changed, unchanged.ToDictionary(status => StatusCounts.Name(status.Key), status => status.Value), [.. ids.Except(found)]);
    }

    private static async Task<Results<Ok<ExperimentResponse>, ValidationProblem, ProblemHttpResult>> UpdateExperiment(
        Guid id,
        UpdateExperimentRequest request,
        ExperimentsDbContext db,
        TicketQueue queue,
        Npgsql.NpgsqlDataSource database,
        TimeProvider clock,
        CancellationToken cancellationToken)
    {
        if (request is { Name: null, Tags: null, Notes: null, Priority: null, StartAt: null, Parameters: null })
            return Problems.Invalid("name", "Give what is to change: name, tags, notes, priority, startAt or parameters.");
        if (request.StartAt > clock.GetUtcNow().AddYears(10))
            return Problems.Invalid("startAt", "startAt is up to ten years ahead.");
        var annotations = new Annotations(database);
        var name = request.Name is null ? null : await annotations.NameAsync(request.Name, cancellationToken);
        var tags = request.Tags is null ? null : await annotations.TagsAsync(request.Tags, cancellationToken);
        var notes = request.Notes is null ? null : await annotations.NotesAsync(request.Notes, cancellationToken) ?? "";
        if (annotations.Errors.Count > 0)
            return Problems.Invalid(annotations.Errors);
        var update = new ExperimentUpdate(name, tags, notes, request.Priority, request.StartAt, request.Parameters ?? []);
        return await new ExperimentUpdates(db, queue).ApplyAsync(id, update, cancellationToken) switch
        {
            UpdateRefusal.Gone => Problems.NotFound("experiment", id),
            UpdateRefusal.Invalid invalid => Problems.Invalid(invalid.Field, invalid.Reason),
            UpdateRefusal.Conflict conflict => Problems.Conflict(conflict.Reason),
            _ => (await db.Experiments.Where(experiment => experiment.Id == id).ToResponsesAsync(db, cancellationToken)) is [var response]
                ? TypedResults.Ok(response)
                : Problems.NotFound("experiment", id),
        };
    }

    private static string Participle(ControlAction action) => action.Verb switch
    {
        "retry" => "tried again",
        "cancel" => "cancelled",
        var verb => $"{verb}d",
    };
}
