using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Models;

internal static class ModelsEndpoints
{
    private const string Example = """
        "id": "01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d", "name": "Digits", "inputSize": {"width": 28, "height": 28, "channels": 1}, "trainer": "torch",
        "experimentCount": 27, "bestAccuracy": 0.991, "bestExperimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "createdAt": "2026-03-01T09:00:00+00:00"
        """;

    private const string DetailExample = "{" + Example + """
        , "images": {"total": 70000, "train": 60000, "validation": 0, "test": 10000}, "classes": [{"label": "0", "count": 6903}, {"label": "1", "count": 7877}],
        "experiments": {"draft": 0, "queued": 3, "running": 2, "completed": 22, "paused": 0, "cancelled": 0, "failed": 0, "pruned": 0}}
        """;

    public static void MapModels(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models").WithTags("Models");
        group.MapPost("/", CreateModel)
            .WithSummary("Creates a model: a named learning problem, to be filled with images")
            .WithDescription("The input size is what every image becomes before training; it can't be changed later. The answer's Location is the model.")
            .WithExamples("""{"name": "Digits", "inputSize": {"width": 28, "height": 28, "channels": 1}}""", DetailExample)
            .Fails(400, 409, 413, 415);
        group.MapGet("/", ListModels)
            .WithSummary("Lists the models")
            .WithDescription("In pages, newest first or by name, each with the accuracy of its best experiment.")
            .WithExamples(response: "{\"items\": [{" + Example + "}], \"nextCursor\": null}")
            .Fails(400);
        group.MapGet("/{id:guid}", GetModel)
            .WithSummary("One model with its images, classes and experiments counted")
            .WithDescription("Images count by the split that their upload named; what training makes of them is in images/summary.")
            .WithExamples(response: DetailExample)
            .Fails(404);
        group.MapPatch("/{id:guid}", RenameModel)
            .WithSummary("Renames a model")
            .WithDescription("Names are unique without regard to case; a model may be given its own name in other letters.")
            .WithExamples("""{"name": "Handwritten digits"}""", DetailExample)
            .Fails(400, 404, 409, 413, 415);
        group.MapDelete("/{id:guid}", DeleteModel)
            .WithSummary("Deletes a model with its images, experiments and results; workers that train it stop by themselves")
            .WithDescription("There is no way back. Its name is free again at once.")
            .WithExamples()
            .Fails(404);
    }

    private static async Task<Results<Created<ModelDetail>, ValidationProblem, ProblemHttpResult>> CreateModel(
        CreateModelRequest request, ExperimentsDbContext db, NpgsqlDataSource database, TimeProvider clock, CancellationToken cancellationToken)
    {
        var size = request.InputSize ?? new InputSizeRequest();
        var id = Guid.CreateVersion7();
        var name = await Texts.NormalizeAsync(database, request.Name!.Trim(), cancellationToken);
        if (Texts.Problem(name, Model.MaxNameLength) is { } problem)
            return Problems.Invalid("name", $"A name has {problem}.");
        var inserted = await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO models (id, name, input_width, input_height, input_channels, trainer, next_experiment_number, created_at)
            VALUES ({id}, {name}, {size.Width}, {size.Height}, {size.Channels}, {Model.BuiltInTrainer}, 1, {clock.GetUtcNow()})
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
        [Description("newest (the default) or name."), AllowedValues("newest", "name", ErrorMessage = "order is newest or name.")] string order = "newest",
        CancellationToken cancellationToken = default)
    {
        var list = $"models {order}";
        if (!Cursor.TryDecode<Position>(page, list, out var after, out var problem))
            return problem;
        var models = db.Models.AsNoTracking();
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

    private static async Task<Results<Ok<ModelDetail>, ValidationProblem, ProblemHttpResult>> RenameModel(
        Guid id, RenameModelRequest request, ExperimentsDbContext db, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        var name = await Texts.NormalizeAsync(database, request.Name!.Trim(), cancellationToken);
        if (Texts.Problem(name, Model.MaxNameLength) is { } problem)
            return Problems.Invalid("name", $"A name has {problem}.");
        try
        {
            await db.Models.Where(model => model.Id == id)
                .ExecuteUpdateAsync(set => set.SetProperty(model => model.Name, name), cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return NameIsTaken(name);
        }

        return await FindAsync(db, id, cancellationToken) is { } model ? TypedResults.Ok(model) : Problems.NotFound("model", id);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteModel(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        // Ten thousand experiments and their curves take their time.
        db.Database.SetCommandTimeout(TimeSpan.FromMinutes(5));
        return await db.Models.Where(model => model.Id == id).ExecuteDeleteAsync(cancellationToken) == 0
            ? Problems.NotFound("model", id)
            : TypedResults.NoContent();
    }

    private static ProblemHttpResult NameIsTaken(string name) =>
        Problems.Conflict($"There is a model named \"{name}\" already: choose another name.");

    private static IQueryable<ModelResponse> Summaries(ExperimentsDbContext db, IQueryable<Model> models)
    {
        var versions = BestExperiments.Versions(db);
        return
            from model in models
            let best = versions.Where(version => version.ModelId == model.Id).Select(version => version.BestExperimentId).FirstOrDefault()
            select new ModelResponse(
                model.Id,
                model.Name,
                new InputSize(model.InputWidth, model.InputHeight, model.InputChannels),
                model.Trainer,
                model.NextExperimentNumber - 1,
                db.Experiments.Where(experiment => experiment.Id == best).Select(experiment => experiment.Accuracy).FirstOrDefault(),
                best,
                model.CreatedAt);
    }

    private static async Task<ModelDetail?> FindAsync(ExperimentsDbContext db, Guid id, CancellationToken cancellationToken)
    {
        if (await Summaries(db, db.Models.AsNoTracking().Where(model => model.Id == id)).SingleOrDefaultAsync(cancellationToken) is not { } model)
            return null;
        var images = await db.Images.Where(image => image.ModelId == id)
            .GroupBy(image => new { image.Label, image.Split })
            .Select(group => new { group.Key.Label, group.Key.Split, Count = group.Count() })
            .ToListAsync(cancellationToken);
        var statuses = await db.Experiments.Where(experiment => experiment.ModelId == id)
            .GroupBy(experiment => experiment.Status)
            .ToDictionaryAsync(group => group.Key, group => group.Count(), cancellationToken);
        return new ModelDetail(
            model.Id, model.Name, model.InputSize, model.Trainer, model.ExperimentCount, model.BestAccuracy, model.BestExperimentId, model.CreatedAt,
            new ImageCounts(images.Sum(image => image.Count), Of(ImageSplit.Train), Of(ImageSplit.Validation), Of(ImageSplit.Test)),
            [.. images.GroupBy(image => image.Label).OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => new ClassCount(group.Key, group.Sum(image => image.Count)))],
            StatusCounts.All(statuses));

        int Of(ImageSplit split) => images.Where(image => image.Split == split).Sum(image => image.Count);
    }

    private sealed record Position(DateTimeOffset CreatedAt, Guid Id, string? Name);
}
