using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Images;

/// <summary>Relabels, moves and removes images. Experiments that were generated before keep the images that they were generated on.</summary>
internal static class ImageChangesEndpoints
{
    private const string NothingToChange = "Nothing is to be changed here: give label, split, or both.";

    private const string Description =
        "Choose images by ids, or all of a label or split with where. Experiments that were generated before keep the images as they were; the next ones use " +
        "these. With where, 5,000 images at a time change together; interrupted, send it again.";

    private static readonly LeavesBehind Partly = new("Some of the images may be changed already; send it again in a few seconds: what is done stays.");

    public static void MapImageChanges(this IEndpointRouteBuilder routes)
    {
        var image = routes.MapGroup("/api/images/{id:guid}").WithTags("Images");
        image.MapPatch("/", UpdateImage)
            .WithSummary("Gives an image another label or split")
            .WithDescription("Experiments generated before keep the image as it was.")
            .WithExamples("""{"label": "7", "split": "train"}""", ImagesEndpoints.Example)
            .WithExample(409, Problems.ArchivedExample)
            .Fails(400, 404, 409, 413, 415);
        image.MapDelete("/", DeleteImage)
            .WithSummary("Removes an image from its model; experiments generated before keep it")
            .WithDescription("Uploaded again, it is a new image of the model.")
            .WithExamples()
            .WithExample(409, Problems.ArchivedExample)
            .Fails(404, 409);

        var images = routes.MapGroup("/api/models/{id:guid}/images").WithTags("Images");
        images.MapPatch("/", UpdateImages)
            .WithSummary("Gives many images another label or split, or a whole class another name")
            .WithDescription(Description)
            .WithExamples(
                """{"where": {"label": "cat"}, "label": "tiger"}""", """{"changed": 120, "unchanged": 0, "missing": []}""")
            .WithMetadata(Partly)
            .WithExample(409, Problems.ArchivedExample)
            .Fails(400, 404, 409, 413, 415);
        images.MapPost("/delete", DeleteImages)
            .WithSummary("Removes many images from a model, or a whole class; experiments generated before keep them")
            .WithDescription(Description)
            .WithExamples(
                """{"ids": ["01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f", "01980c40-2b3c-7d4e-9f50-6a7b8c9d0e20"]}""",
                """{"deleted": 1, "missing": ["01980c40-2b3c-7d4e-9f50-6a7b8c9d0e20"]}""")
            .WithMetadata(Partly)
            .WithExample(409, Problems.ArchivedExample)
            .Fails(400, 404, 409, 413, 415);
    }

    private static async Task<Results<Ok<ImageResponse>, ValidationProblem, ProblemHttpResult>> UpdateImage(
        Guid id, UpdateImageRequest request, ExperimentsDbContext db, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        if (request is { Label: null, Split: null })
            return TypedResults.Problem(NothingToChange, statusCode: StatusCodes.Status400BadRequest);
        var (label, problem) = await ReadLabelAsync(database, request.Label, "label", cancellationToken);
        if (problem is not null)
            return problem;
        if (await FindModelAsync(db, id, cancellationToken) is not { } model)
            return Problems.NotFound("image", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(model.Id);
        await ImageChanges.RelabelAsync(db, model.Id, new ImageSelection([id], null, null), label, ReadSplit(request.Split), cancellationToken);
        return await db.Images.AsNoTracking().SingleOrDefaultAsync(image => image.Id == id, cancellationToken) is { } image
            ? TypedResults.Ok(ImagesEndpoints.Describe(image))
            : Problems.NotFound("image", id);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteImage(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (await FindModelAsync(db, id, cancellationToken) is not { } model)
            return Problems.NotFound("image", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(model.Id);
        var change = await ImageChanges.DeleteAsync(db, model.Id, new ImageSelection([id], null, null), cancellationToken);
        return change.Changed == 0 ? Problems.NotFound("image", id) : TypedResults.NoContent();
    }

    private static async Task<Results<Ok<ImagesChangedResponse>, ValidationProblem, ProblemHttpResult>> UpdateImages(
        Guid id, UpdateImagesRequest request, ExperimentsDbContext db, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        if (request is { Label: null, Split: null })
            return TypedResults.Problem(NothingToChange, statusCode: StatusCodes.Status400BadRequest);
        var (label, problem) = await ReadLabelAsync(database, request.Label, "label", cancellationToken);
        if (problem is not null)
            return problem;
        var (selection, invalid) = await SelectAsync(database, request.Ids, request.Where, cancellationToken);
        if (selection is null)
            return invalid!;
        if (await RefuseAsync(db, id, cancellationToken) is { } refusal)
            return refusal;
        var change = await ImageChanges.RelabelAsync(db, id, selection, label, ReadSplit(request.Split), cancellationToken);
        return TypedResults.Ok(new ImagesChangedResponse(change.Changed, change.Unchanged, change.Missing));
    }

    private static async Task<Results<Ok<ImagesDeletedResponse>, ValidationProblem, ProblemHttpResult>> DeleteImages(
        Guid id, DeleteImagesRequest request, ExperimentsDbContext db, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        var (selection, invalid) = await SelectAsync(database, request.Ids, request.Where, cancellationToken);
        if (selection is null)
            return invalid!;
        if (await RefuseAsync(db, id, cancellationToken) is { } refusal)
            return refusal;
        var change = await ImageChanges.DeleteAsync(db, id, selection, cancellationToken);
        return TypedResults.Ok(new ImagesDeletedResponse(change.Changed, change.Missing));
    }

    private static async Task<(ImageSelection? Selection, ValidationProblem? Problem)> SelectAsync(
        NpgsqlDataSource database, IReadOnlyList<Guid>? ids, WhereRequest? where, CancellationToken cancellationToken)
    {
        if (ids is null == where is null)
            return (null, Problems.Invalid(ids is null ? "ids" : "where", "Say which images: give ids, or where, and not both."));
        if (where is { Label: null, Split: null })
            return (null, Problems.Invalid("where", "Say which images: give where a label, a split, or both."));
        var (label, problem) = await ReadLabelAsync(database, where?.Label, "where.label", cancellationToken);
        return problem is null
            ? (new ImageSelection(ids?.Distinct().ToArray(), label, ReadSplit(where?.Split)), null)
            : (null, problem);
    }

    private static async Task<(string? Label, ValidationProblem? Problem)> ReadLabelAsync(
        NpgsqlDataSource database, string? given, string field, CancellationToken cancellationToken)
    {
        if (given is null)
            return (null, null);
        var label = await Texts.NormalizeAsync(database, given.Trim(), cancellationToken);
        return Labels.Problem(label) is { } problem ? (null, Problems.Invalid(field, problem)) : (label, null);
    }

    private static ImageSplit? ReadSplit(string? word) => word is not null && SplitWords.TryParse(word, out var split) ? split : null;

    private static Task<Model?> FindModelAsync(ExperimentsDbContext db, Guid imageId, CancellationToken cancellationToken) =>
        db.Models.AsNoTracking().SingleOrDefaultAsync(model => db.Images.Any(image => image.Id == imageId && image.ModelId == model.Id), cancellationToken);

    private static async Task<ProblemHttpResult?> RefuseAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        await db.Models.AsNoTracking().SingleOrDefaultAsync(model => model.Id == modelId, cancellationToken) switch
        {
            null => Problems.NotFound("model", modelId),
            { ArchivedAt: not null } => Problems.Archived(modelId),
            _ => null,
        };
}
