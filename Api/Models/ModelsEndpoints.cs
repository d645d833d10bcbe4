using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Api.Predictions;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Models;

internal static partial class ModelsEndpoints
{
    private const int MaxSearchLength = 200;
    private const string LikeEscape = @"\";

    private const string Example = """
        "id": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d", "name": "Digits", "tags": ["handwriting", "demo"], "archived": false, "archivedAt": null,
        "inputSize": {"width": 28, "height": 28, "channels": 1}, "trainer": "torch",
        "experimentCount": 27, "bestAccuracy": 0.991, "bestExperimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "createdAt": "2026-03-01T09:00:00+00:00"
        """;

    private const string DetailExample = "{" + Example + """
        , "notes": "Scans of forms.\nThe sevens with a stroke came in May.", "bestDataSetVersion":
        """ + ExperimentsEndpoints.DataSetVersionExample + """
        , "predictorExperimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "images": {"total": 70000, "train": 60000, "validation": 0, "test": 10000}, "classes": [{"label": "0", "count": 6903}, {"label": "1", "count": 7877}],
        "experiments": {"draft": 0, "queued": 3, "running": 2, "completed": 22, "paused": 0, "cancelled": 0, "failed": 0, "pruned": 0}}
        """;

    public static void MapModels(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models").WithTags("Models");
        group.MapPost("/", CreateModel)
            .WithSummary("Creates a model: a named learning problem, to be filled with images")
            .WithDescription("The input size is what every image becomes before training; it can't be changed later. The answer's Location is the model.")
            .WithExamples(
                """{"name": "Digits", "inputSize": {"width": 28, "height": 28, "channels": 1}, "notes": "Scans of forms.", "tags": ["handwriting", "demo"]}""", DetailExample)
            .TakesIdempotencyKey()
            .Fails(400, 409, 413, 415);
        group.MapGet("/", ListModels)
            .WithSummary("Lists the models that are not archived, or those asked for")
            .WithDescription("In pages, newest first or by name, each with the accuracy of its best experiment.")
            .WithExamples(response: "{\"items\": [{" + Example + "}], \"nextCursor\": null}")
            .Fails(400);
        group.MapGet("/{id:guid}", GetModel)
            .WithSummary("One model with its images, classes and experiments counted")
            .WithDescription("Images count by the split that their upload named; what training makes of them is in images/summary.")
            .WithExamples(response: DetailExample)
            .Fails(404);
        group.MapPatch("/{id:guid}", UpdateModel)
            .WithSummary("Renames a model, notes something, tags, archives or unarchives it; what is left out stays")
            .WithDescription(
                "An archived model can be looked at, asked for predictions, changed here and deleted; uploads, changes of its images, new experiments and the start of " +
                "drafts are refused. What is queued or trains already goes on.")
            .WithExamples("""{"name": "Handwritten digits", "notes": "Scans of forms.\nThe sevens with a stroke came in May.", "tags": ["handwriting"], "archived": false}""", DetailExample)
            .Fails(400, 404, 409, 413, 415);
        group.MapDelete("/{id:guid}", DeleteModel)
            .WithSummary("Deletes a model with its images, experiments and results; workers that train it stop by themselves")
            .WithDescription("There is no way back. A large one takes several steps, and is archived from the first on: a deletion that is interrupted goes on when it is asked for again.")
            .WithExamples()
            .WithMetadata(new LeavesBehind("A part of the model may be deleted already; ask for it again in a few seconds."))
            .Fails(404);
    }

    private static async Task<Results<Created<ModelDetail>, ValidationProblem, ProblemHttpResult>> CreateModel(
        CreateModelRequest request, ExperimentsDbContext db, NpgsqlDataSource database, TimeProvider clock, CancellationToken cancellationToken)
    {
        var size = request.InputSize ?? new InputSizeRequest();
        var id = Guid.CreateVersion7();
        var texts = new Annotations(database);
        var name = await texts.NameAsync(request.Name!, cancellationToken);
        var notes = await texts.NotesAsync(request.Notes, cancellationToken);
        var tags = await texts.TagsAsync(request.Tags ?? [], cancellationToken);
        if (texts.Errors.Count > 0)
            return Problems.Invalid(texts.Errors);
        var inserted = await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO models (id, name, notes, tags, input_width, input_height, input_channels, trainer, next_experiment_number, created_at)
            VALUES ({id}, {name}, {notes}, {tags}, {size.Width}, {size.Height}, {size.Channels}, {Model.BuiltInTrainer}, 1, {clock.GetUtcNow()})
            ON CONFLICT DO NOTHING
            """,
            cancellationToken);
        if (inserted == 0)
            return NameIsTaken(name);
        return TypedResults.Created($"/api/models/{id}", await FindAsync(db, id, cancellationToken));
    }

    private static async Task<Results<Ok<Page<ModelResponse>>, ValidationProblem>> ListModels(
        [AsParameters] PageQuery page,
        ExperimentsDbContext db,
        NpgsqlDataSource database,
        [Description("newest (the default) or name."), AllowedValues("newest", "name", ErrorMessage = "order is newest or name.")] string order = "newest",
        [Description("false (the default): without those that are archived; true: only those; all."), AllowedValues("false", "true", "all", ErrorMessage = "archived is false, true or all.")] string archived = "false",
        [Description("Only models with this tag, without regard to case.")] string? tag = null,
        [Description("Only models whose name contains this, without regard to case."), MaxLength(MaxSearchLength, ErrorMessage = "search has at most 200 characters.")] string? search = null,
        CancellationToken cancellationToken = default)
    {
        // What forms send for an empty field asks for nothing.
        tag = string.IsNullOrWhiteSpace(tag) ? null : await Texts.NormalizeAsync(database, tag.Trim(), cancellationToken);
        search = string.IsNullOrEmpty(search) ? null : await Texts.NormalizeAsync(database, search, cancellationToken);
        var list = $"models {order} {archived}\n{tag}\n{search}";
        if (!Cursor.TryDecode<Position>(page, list, out var after, out var problem))
            return problem;
        var models = db.Models.AsNoTracking();
        if (archived != "all")
            models = models.Where(model => model.ArchivedAt != null == (archived == "true"));
        if (tag is not null)
            models = models.Where(model => model.Tags.Any(own => EF.Functions.ILike(own, Literally(tag), LikeEscape)));
        if (search is not null)
            models = models.Where(model => EF.Functions.ILike(model.Name, $"%{Literally(search)}%", LikeEscape));
        // The database's lower(), on both sides: its letters are not .NET's.
        if (order == "name" && after is { Name: { } name })
            models = models.Where(model => string.Compare(model.Name.ToLower(), EF.Parameter(name).ToLower()) > 0);
        models = order == "name"
            ? models.OrderBy(model => model.Name.ToLower())
            : models.Where(model => after == null || model.CreatedAt < after.CreatedAt || (model.CreatedAt == after.CreatedAt && model.Id < after.Id))
                .OrderByDescending(model => model.CreatedAt).ThenByDescending(model => model.Id);
        var items = await Summaries(db, models).Take(page.Size + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(Pages.Cut(items, page, list, last => new Position(last.CreatedAt, last.Id, last.Name)));
    }

    private static async Task<Results<Ok<ModelDetail>, ProblemHttpResult>> GetModel(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        await FindAsync(db, id, cancellationToken) is { } model ? TypedResults.Ok(model) : Problems.NotFound("model", id);

    private static async Task<Results<Ok<ModelDetail>, ValidationProblem, ProblemHttpResult>> UpdateModel(
        Guid id, UpdateModelRequest request, ExperimentsDbContext db, NpgsqlDataSource database, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (request.IsEmpty)
            return TypedResults.Problem(
                "Nothing is to be changed here: give name, notes, tags or archived, one at least.", statusCode: StatusCodes.Status400BadRequest);
        if (FindNulls(request) is { Count: > 0 } nulls)
            return Problems.Invalid(nulls);
        var texts = new Annotations(database);
        var name = request.Name is null ? null : await texts.NameAsync(request.Name, cancellationToken);
        var notes = await texts.NotesAsync(request.Notes, cancellationToken);
        var tags = request.Tags is null ? null : await texts.TagsAsync(request.Tags, cancellationToken);
        if (texts.Errors.Count > 0)
            return Problems.Invalid(texts.Errors);
        var now = clock.GetUtcNow();
        try
        {
            var changed = await db.Models.Where(model => model.Id == id && !model.IsBeingDeleted).ExecuteUpdateAsync(
                set =>
                {
                    if (name is not null)
                        set.SetProperty(model => model.Name, name);
                    if (request.Has(nameof(request.Notes)))
                        set.SetProperty(model => model.Notes, notes);
                    if (tags is not null)
                        set.SetProperty(model => model.Tags, tags);
                    if (request.Archived is true)
                        set.SetProperty(model => model.ArchivedAt, model => model.ArchivedAt ?? now);
                    if (request.Archived is false)
                        set.SetProperty(model => model.ArchivedAt, (DateTimeOffset?)null);
                },
                cancellationToken);
            if (changed == 0 && await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
                return Problems.Conflict("The model is being deleted: what is left of it can't be changed. Send DELETE again if it stays.");
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return NameIsTaken(name!);
        }

        return await FindAsync(db, id, cancellationToken) is { } model ? TypedResults.Ok(model) : Problems.NotFound("model", id);
    }

    private static Dictionary<string, string[]> FindNulls(UpdateModelRequest request)
    {
        var nulls = new Dictionary<string, string[]>();
        if (request.Has(nameof(request.Name)) && request.Name is null)
            nulls["name"] = ["A model has a name: leave it out to keep the one that it has."];
        if (request.Has(nameof(request.Tags)) && request.Tags is null)
            nulls["tags"] = ["tags is a list: [] removes all of them."];
        if (request.Has(nameof(request.Archived)) && request.Archived is null)
            nulls["archived"] = ["archived is true or false."];
        return nulls;
    }

    /// <summary>To its end, also when nobody waits for the answer any more.</summary>
    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteModel(Guid id, ExperimentsDbContext db, IHostApplicationLifetime lifetime) =>
        await ModelDeletion.DeleteAsync(db, id, lifetime.ApplicationStopping) ? TypedResults.NoContent() : Problems.NotFound("model", id);

    private static ProblemHttpResult NameIsTaken(string name) =>
        Problems.Conflict($"There is a model named \"{name}\" already: choose another name.");

    /// <summary>A pattern that only this text fits.</summary>
    private static string Literally(string text) => LikeSpecial().Replace(text, $@"{LikeEscape}$0");

    [GeneratedRegex(@"[\\%_]")]
    private static partial Regex LikeSpecial();

    private static IQueryable<ModelResponse> Summaries(ExperimentsDbContext db, IQueryable<Model> models)
    {
        var versions = BestExperiments.Versions(db);
        return
            from model in models
            let best = versions.Where(version => version.ModelId == model.Id).Select(version => (Guid?)version.ExperimentId).FirstOrDefault()
            select new ModelResponse(
                model.Id,
                model.Name,
                model.Tags,
                model.ArchivedAt != null,
                model.ArchivedAt,
                new InputSize(model.InputWidth, model.InputHeight, model.InputChannels),
                model.Trainer,
                model.NextExperimentNumber - 1,
                db.Experiments.Where(experiment => experiment.Id == best).Select(experiment => experiment.Accuracy).FirstOrDefault(),
                best,
                model.CreatedAt);
    }

    private static async Task<ModelDetail?> FindAsync(ExperimentsDbContext db, Guid id, CancellationToken cancellationToken)
    {
        await BestExperiments.RefreshAsync(db, id, cancellationToken);
        if (await Summaries(db, db.Models.AsNoTracking().Where(model => model.Id == id)).SingleOrDefaultAsync(cancellationToken) is not { } model)
            return null;
        var version = await BestExperiments.Versions(db)
            .SingleOrDefaultAsync(version => version.ModelId == id && version.ExperimentId == model.BestExperimentId, cancellationToken);
        var predictor = await Predictors.CurrentAsync(db, id, cancellationToken);
        var notes = await db.Models.Where(model => model.Id == id).Select(model => model.Notes).SingleOrDefaultAsync(cancellationToken);
        var images = await db.Images.Where(image => image.ModelId == id)
            .GroupBy(image => new { image.Label, image.Split })
            .Select(group => new { group.Key.Label, group.Key.Split, Count = group.Count() })
            .ToListAsync(cancellationToken);
        var statuses = await StatusCounts.ReadAsync(db.Experiments.Where(experiment => experiment.ModelId == id), cancellationToken);
        return new ModelDetail(
            model.Id,
            model.Name,
            notes,
            model.Tags,
            model.Archived,
            model.ArchivedAt,
            model.InputSize,
            model.Trainer,
            model.ExperimentCount,
            model.BestAccuracy,
            model.BestExperimentId,
            version?.ToResponse(),
            predictor?.ExperimentId ?? model.BestExperimentId,
            model.CreatedAt,
            new ImageCounts(images.Sum(image => image.Count), Of(ImageSplit.Train), Of(ImageSplit.Validation), Of(ImageSplit.Test)),
            [.. images.GroupBy(image => image.Label).OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => new ClassCount(group.Key, group.Sum(image => image.Count)))],
            StatusCounts.All(statuses));

        int Of(ImageSplit split) => images.Where(image => image.Split == split).Sum(image => image.Count);
    }

    private sealed record Position(DateTimeOffset CreatedAt, Guid Id, string? Name);
}
