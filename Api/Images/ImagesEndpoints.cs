using System.ComponentModel;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Images;

internal static class ImagesEndpoints
{
    internal const string Example = """
        {"id": "01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f", "sha256": "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e", "label": "7",
        "split": "train", "fileName": "digits/train/7/15.png", "width": 28, "height": 28, "mediaType": "image/png", "length": 275,
        "createdAt": "2026-03-01T09:00:00+00:00", "content": "/api/images/01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f/content"}
        """;

    public static IServiceCollection AddImages(this IServiceCollection services)
    {
        services.AddOptions<UploadOptions>().BindConfiguration(UploadOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        return services;
    }

    public static void MapImages(this IEndpointRouteBuilder routes)
    {
        var model = routes.MapGroup("/api/models/{id:guid}/images").WithTags("Images");
        model.MapPost("/", UploadImages)
            .WithSummary("Uploads labelled images, zips with a folder for each class, or MNIST's IDX files; answers what became of each")
            .WithDescription(
                "A file that can't be taken is refused by name, with the reason, and the others are stored. Photos are turned upright (EXIF orientation), of an " +
                "animation the first frame is used, and images that are cut short are refused. It needs no Idempotency-Key: an image counts once by its " +
                "content, so an upload that was cut off is sent again as it was.")
            .TakesForm<RouteHandlerBuilder, UploadForm>()
            .WithExamples(response: """{"accepted": 998, "duplicates": 1, "refused": [{"file": "cats/notes.txt", "reason": "it is not a PNG, JPEG, GIF, BMP or WebP file"}], "refusedCount": 1}""")
            .WithMetadata(new LeavesBehind(
                "Some of the images may be stored already; sending all of them again in a few seconds is safe: what is there counts as duplicate."))
            .WithExample(409, Problems.ArchivedExample)
            .Fails(400, 404, 409, 413, 415, 507);
        model.MapGet("/", ListImages)
            .WithSummary("Lists a model's images in the order of their upload")
            .WithDescription("Filtered by label and by the split that the upload named.")
            .WithExamples(response: "{\"items\": [" + Example + "], \"nextCursor\": null}")
            .Fails(400, 404);
        model.MapGet("/summary", SummarizeImages)
            .WithSummary("A model's images counted by class and split, as uploaded and as training will use them")
            .WithDescription("Without validation images, a fifth of the training images is held out, chosen by their hash. notTrainable says what is missing before experiments can be generated.")
            .WithExamples(response: """
                {"total": 10, "totalBytes": 2750, "uploaded": {"train": 10, "validation": 0, "test": 0}, "resolved": {"train": 8, "validation": 2, "test": 0}, "notTrainable": null,
                "classes": [{"label": "cat", "total": 5, "uploaded": {"train": 5, "validation": 0, "test": 0}, "resolved": {"train": 4, "validation": 1, "test": 0}},
                {"label": "dog", "total": 5, "uploaded": {"train": 5, "validation": 0, "test": 0}, "resolved": {"train": 4, "validation": 1, "test": 0}}]}
                """)
            .Fails(404);
        var image = routes.MapGroup("/api/images/{id:guid}").WithTags("Images");
        image.MapGet("/", GetImage)
            .WithSummary("One image: its label, its split and where its file is")
            .WithDescription("As its upload or the last change left it.")
            .WithExamples(response: Example)
            .Fails(404);
        image.MapGet("/content", GetImageContent)
            .WithSummary("An image's file, byte for byte as it was uploaded")
            .WithDescription("It never changes: the answer has an ETag and may be cached for ever.")
            .Produces<Stream>(StatusCodes.Status200OK, "image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp")
            .Produces(StatusCodes.Status304NotModified)
            .Fails(404, 410);
    }

    private static async Task<Results<Ok<UploadResponse>, ValidationProblem, ProblemHttpResult>> UploadImages(
        Guid id,
        HttpContext context,
        ExperimentsDbContext db,
        NpgsqlDataSource database,
        IBlobStore blobs,
        IOptions<BlobOptions> blobOptions,
        IOptions<UploadOptions> uploadOptions,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(model => model.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(id);
        var options = uploadOptions.Value;
        if (context.Request.ContentLength > options.MaxRequestBytes)
            return TypedResults.Problem(
                $"The upload has {context.Request.ContentLength} bytes; at most {options.MaxRequestBytes} are accepted: send it in parts.",
                statusCode: StatusCodes.Status413PayloadTooLarge);
        if (!MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            return Problems.NoForm(context.Request);
        if (Boundary(type) is not { } boundary)
            return Problems.Invalid("files", "The multipart/form-data body's content type has no boundary: let the HTTP client set the header.");
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = options.MaxRequestBytes;

        var tally = new UploadTally();
        using var spool = new TemporaryFile(blobOptions.Value.TemporaryFolder);
        using var packs = new PackWriter(blobs, blobOptions.Value.TemporaryFolder);
        var intake = new ImageIntake(model, new ImageRows(database), packs, tally, new OrderedIds(time));
        var reader = new MultipartReader(boundary, context.Request.Body);
        try
        {
            if (await new UploadReader(options, spool, intake, tally).ReadAsync(reader, cancellationToken) is (var field, var message))
                return Problems.Invalid(field, message);
        }
        catch (Exception exception) when (FormErrors.IsUnreadable(exception))
        {
            return TypedResults.Problem(
                FormErrors.Sentence(exception), statusCode: StatusCodes.Status400BadRequest);
        }

        return intake.ModelIsGone ? Problems.NotFound("model", id) : TypedResults.Ok(tally.ToResponse());
    }

    private static async Task<Results<Ok<Page<ImageResponse>>, ValidationProblem, ProblemHttpResult>> ListImages(
        Guid id,
        [AsParameters] PageQuery page,
        ExperimentsDbContext db,
        NpgsqlDataSource database,
        [Description("Only images with this label.")] string? label = null,
        [Words(typeof(SplitWords)), Description("Only images whose upload, or a change since, named this split: train, validation or test.")] string? split = null,
        CancellationToken cancellationToken = default)
    {
        ImageSplit? wanted = null;
        if (split is not null)
        {
            if (!SplitWords.TryParse(split, out var parsed))
                return Problems.Invalid("split", SplitWords.Problem);
            wanted = parsed;
        }

        var list = $"images {id} {wanted} {label}";
        if (!Cursor.TryDecode<Position>(page, list, out var after, out var problem))
            return problem;
        if (!await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);

        var images = db.Images.AsNoTracking().Where(image => image.ModelId == id);
        if (label is not null)
            label = await Texts.NormalizeAsync(database, label.Trim(), cancellationToken);
        if (label is not null)
            images = images.Where(image => image.Label == label);
        if (wanted is { } only)
            images = images.Where(image => image.Split == only);
        if (after is not null)
            images = images.Where(image => image.Id > after.Id);
        var rows = await images.OrderBy(image => image.Id).Take(page.Size + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(Pages.Cut([.. rows.Select(Describe)], page, list, last => new Position(last.Id)));
    }

    private static async Task<Results<Ok<ImagesSummary>, ProblemHttpResult>> SummarizeImages(
        Guid id, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        if (!await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        var images = await DataSetVersions.ReadImagesAsync(db, id, cancellationToken);
        return TypedResults.Ok(ImagesCount.Summarize(images));
    }

    private static async Task<Results<Ok<ImageResponse>, ProblemHttpResult>> GetImage(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        await db.Images.AsNoTracking().SingleOrDefaultAsync(image => image.Id == id, cancellationToken) is { } image
            ? TypedResults.Ok(Describe(image))
            : Problems.NotFound("image", id);

    private static async Task<Results<FileStreamHttpResult, StatusCodeHttpResult, ProblemHttpResult>> GetImageContent(
        Guid id, HttpContext context, ExperimentsDbContext db, IBlobStore blobs, CancellationToken cancellationToken)
    {
        var image = await db.Images.AsNoTracking().Where(image => image.Id == id)
            .Select(image => new { image.Sha256, image.Pack!.BlobHash, image.PackOffset, image.Length, image.MediaType })
            .SingleOrDefaultAsync(cancellationToken);
        if (image is null)
            return Problems.NotFound("image", id);

        // The bytes below an id never change.
        context.Response.Headers.CacheControl = "private, max-age=31536000, immutable";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        var tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(image.Sha256)}\"");
        if (context.Request.GetTypedHeaders().IfNoneMatch.Any(known => known.Compare(tag, useStrongComparison: false)))
        {
            context.Response.GetTypedHeaders().ETag = tag;
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        }

        var content = await blobs.OpenReadAsync(image.BlobHash, image.PackOffset, image.Length, cancellationToken);
        context.Response.ContentLength = image.Length;
        return TypedResults.Stream(content, image.MediaType, entityTag: tag);
    }

    internal static ImageResponse Describe(Image image) => new(
        image.Id,
        Convert.ToHexStringLower(image.Sha256),
        image.Label,
        image.Split,
        image.FileName,
        image.Width,
        image.Height,
        image.MediaType,
        image.Length,
        image.CreatedAt,
        $"/api/images/{image.Id}/content");

    private static string? Boundary(MediaTypeHeaderValue type) =>
        HeaderUtilities.RemoveQuotes(type.Boundary) is { Length: > 0 and <= 200 } boundary
            ? boundary.Value
            : null;

    private sealed record Position(Guid Id);
}
