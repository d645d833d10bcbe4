using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using Npgsql;

namespace MlExperiments.Api.Predictions;

/// <summary>Classifies images with a trained experiment: asks a worker and waits for its answers.</summary>
internal static class PredictionsEndpoints
{
    internal const int MaxOpen = 1000;
    internal const int MaxWaitSeconds = 30;

    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(5);

    // A notification that got lost costs at most this.
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private const string Example = """
        {"id": "01980c40-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "status": "completed", "file": "digit.png", "label": "7", "confidence": 0.98, "probabilities": [{"label": "7", "probability": 0.98}, {"label": "1", "probability": 0.02}],
         "experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam",
         "momentum": 0, "weightDecay": 0, "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0,
         "schedule": "constant", "decayEvery": 1000, "decayFactor": 0.5, "warmUpSteps": 0, "augmentShift": 0, "augmentRotate": 0, "augmentScale": 0,
         "classWeights": "none", "patience": 0, "patienceMetric": "loss", "precision": "float32"}, "error": null,
         "createdAt": "2026-03-01T10:00:00+00:00"}
        """;

    private const string PendingExample = """
        {"id": "01980c40-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "status": "waiting", "file": "digit.png", "label": null, "confidence": null, "probabilities": [],
         "experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam",
         "momentum": 0, "weightDecay": 0, "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0,
         "schedule": "constant", "decayEvery": 1000, "decayFactor": 0.5, "warmUpSteps": 0, "augmentShift": 0, "augmentRotate": 0, "augmentScale": 0,
         "classWeights": "none", "patience": 0, "patienceMetric": "loss", "precision": "float32"}, "error": null,
         "createdAt": "2026-03-01T10:00:00+00:00"}
        """;

    private const string BatchExample = "{\"id\": \"01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f\", \"items\": [" + Example + "]}";
    private const string PendingBatchExample = "{\"id\": \"01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f\", \"items\": [" + PendingExample + "]}";

    public static IServiceCollection AddPredictions(this IServiceCollection services) =>
        services.AddSingleton<ImageGate>().AddSingleton<PredictionSignals>().AddHostedService(provider => provider.GetRequiredService<PredictionSignals>());

    public static void MapPredictions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Predictions");
        group.MapPost("/models/{id:guid}/predictions", Predict)
            .WithSummary("Classifies an image, or up to 100, with the experiment that is the model's predictor, or with the one given")
            .WithDescription(
                "Waits for the answers up to wait seconds; then it answers 202 with a Location to ask again. An image on its own that fails while it is waited for " +
                "is answered 409 with the reason. PNG, JPEG, GIF, BMP and WebP up to 32 MiB, together up to 64 MiB, of any size: each is resized as the training images are. " +
                "Several images are answered as /api/predictions/batches/{id} answers them: {\"id\", \"items\"}, an item for each in their order, with its file name; " +
                "one that fails says so in its item. Where one of them can't be read, none is classified.")
            .TakesForm<RouteHandlerBuilder, PredictForm>()
            .WithExamples(response: Example)
            .WithExample(202, PendingExample)
            .Produces<PredictionResponse>()
            .Produces<PredictionResponse>(StatusCodes.Status202Accepted)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The prediction failed: the trainer ran out of memory."}""")
            .TakesIdempotencyKey()
            .Fails(400, 404, 409, 413, 415, 429)
            .WithMetadata(new RequestSizeLimitAttribute(PredictionForms.MaxBytes), new OtherAnswer(typeof(PredictionBatchResponse)));
        group.MapGet("/models/{id:guid}/predictions", ListPredictions)
            .WithSummary("Lists a model's predictions, newest first")
            .WithDescription("In pages, newest first. What was answered long ago is removed after a while.")
            .WithExamples(response: "{\"items\": [" + Example + "], \"nextCursor\": null}")
            .Fails(400, 404);
        group.MapGet("/predictions/{id:guid}", GetPrediction)
            .WithSummary("A prediction and its answer; 202 while there is none")
            .WithDescription("One that failed is answered 200 too: its status is failed, and error says why.")
            .WithExamples(response: Example)
            .WithExample(202, PendingExample)
            .Produces<PredictionResponse>()
            .Produces<PredictionResponse>(StatusCodes.Status202Accepted)
            .Fails(404);
        group.MapGet("/predictions/batches/{id:guid}", GetPredictionBatch)
            .WithSummary("The predictions of one request with several images; 202 while any has no answer")
            .WithDescription("Its items are in the order of their images; those without an answer wait still, or failed with the reason.")
            .WithExamples(response: BatchExample)
            .WithExample(202, PendingBatchExample)
            .Produces<PredictionBatchResponse>()
            .Produces<PredictionBatchResponse>(StatusCodes.Status202Accepted)
            .Fails(404);
    }

    private static async Task<IResult> Predict(
        Guid id,
        HttpContext context,
        ExperimentsDbContext db,
        NpgsqlDataSource database,
        PredictionSignals signals,
        ImageGate gate,
        TimeProvider clock,
        [Description("Seconds to wait for the answer, 0 to 30."), Range(0, MaxWaitSeconds, ErrorMessage = "wait is 0 to 30 seconds.")] int wait = 10,
        CancellationToken cancellationToken = default)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        // Before the images are read: a crowd is to cost nothing.
        var open = await db.Predictions.Where(prediction => prediction.Status == PredictionStatus.Waiting || prediction.Status == PredictionStatus.Running)
            .OrderBy(prediction => prediction.CreatedAt).Take(MaxOpen).CountAsync(cancellationToken);
        if (open >= MaxOpen)
            return Problems.TooMany(context, $"{MaxOpen} predictions wait already: try again in a few seconds, or start more workers.", TryAgain);
        var (form, refusal) = await PredictionForms.ReadAsync(context, cancellationToken);
        if (form is null)
            return refusal!;
        if (open + form.Image.Count > MaxOpen)
            return Problems.TooMany(context, $"{open} predictions wait already, and {MaxOpen} may: try again in a few seconds, or send fewer images.", TryAgain);
        var experiment = form.ExperimentId is { } chosen
            ? await BestExperiments.FindCompletedAsync(db, id, chosen, cancellationToken)
            : await Predictors.FindAsync(db, id, cancellationToken);
        if (experiment is null)
            return form.ExperimentId is null
                ? Problems.Conflict(BestExperiments.NoneYet)
                : Problems.Invalid("experimentId", $"The model has no completed experiment {form.ExperimentId}; leave it out to use the model's predictor.");

        var (images, unreadable) = await ReadImagesAsync(context, form.Image, model.InputShape, gate, clock, cancellationToken);
        if (images is null)
            return unreadable!;
        Guid? batchId = images.Count == 1 ? null : Guid.CreateVersion7();
        var ids = images.Select(image => image.Id).ToArray();
        using var waiter = signals.Expect(ids);
        if (!await PredictionRows.AskAsync(database, experiment.Id, batchId, images, cancellationToken))
            return Problems.NotFound("model", id);

        var deadline = clock.GetUtcNow() + TimeSpan.FromSeconds(wait);
        while (true)
        {
            var left = deadline - clock.GetUtcNow();
            if (left > TimeSpan.Zero)
                await waiter.WaitAsync(left < LookAgain ? left : LookAgain, cancellationToken);
            var predictions = await db.Predictions.Where(prediction => ids.Contains(prediction.Id)).OrderBy(prediction => prediction.Id)
                .ToResponsesAsync(db, cancellationToken);
            if (predictions.Exists(IsOpen) && deadline > clock.GetUtcNow())
                continue;
            if (batchId is { } batch)
                return Answer(batch, predictions);
            return predictions is [{ Status: PredictionStatus.Failed, Error: var error }]
                ? Problems.Conflict($"The prediction failed: {error}")
                : Answer(ids[0], predictions.SingleOrDefault());
        }
    }

    private static async Task<Results<Ok<Page<PredictionResponse>>, ValidationProblem, ProblemHttpResult>> ListPredictions(
        Guid id, [AsParameters] PageQuery page, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var list = $"predictions {id}";
        if (!Cursor.TryDecode<Position>(page, list, out var after, out var problem))
            return problem;
        var items = await db.Predictions.Where(prediction => prediction.ModelId == id)
            .Where(prediction => after == null || prediction.CreatedAt < after.CreatedAt || (prediction.CreatedAt == after.CreatedAt && prediction.Id < after.Id))
            .OrderByDescending(prediction => prediction.CreatedAt).ThenByDescending(prediction => prediction.Id)
            .Take(page.Size + 1)
            .ToResponsesAsync(db, cancellationToken);
        if (items.Count == 0 && !await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        return TypedResults.Ok(Pages.Cut(items, page, list, last => new Position(last.CreatedAt, last.Id)));
    }

    private static async Task<IResult> GetPrediction(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        Answer(id, (await db.Predictions.Where(prediction => prediction.Id == id).ToResponsesAsync(db, cancellationToken)).SingleOrDefault());

    private static async Task<IResult> GetPredictionBatch(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        Answer(id, await db.Predictions.Where(prediction => prediction.BatchId == id).OrderBy(prediction => prediction.Id).ToResponsesAsync(db, cancellationToken));

    /// <summary>The pixels of every image, or else the answer that names those that can't be read.</summary>
    private static async Task<(IReadOnlyList<AskedImage>? Images, IResult? Refusal)> ReadImagesAsync(
        HttpContext context, IReadOnlyList<IFormFile> files, ImageShape shape, ImageGate gate, TimeProvider clock, CancellationToken cancellationToken)
    {
        var ids = new OrderedIds(clock);
        var images = new List<AskedImage>();
        var problems = new List<string>();
        foreach (var image in files)
        {
            var pixels = new byte[shape.Size];
            using var place = await gate.EnterAsync(cancellationToken);
            if (place is null)
                return (null, Problems.TooMany(context, "Too many images are being read at the moment: try again in a few seconds.", TryAgain));
            using var file = new MemoryStream((int)image.Length);
            await image.CopyToAsync(file, cancellationToken);
            if (ImageDecoder.TryDecode(file.GetBuffer().AsSpan(0, (int)file.Length), shape, pixels, out var reason))
                images.Add(new AskedImage(ids.Next(), Labels.FileName(image.FileName), pixels));
            else
                problems.Add($"{PredictionForms.InWords(image, files.Count)} can't be read: {reason}.");
        }

        return problems.Count == 0
            ? (images, null)
            : (null, Problems.Invalid(new Dictionary<string, string[]> { ["image"] = [.. problems] }));
    }

    private static bool IsOpen(PredictionResponse prediction) => prediction.Status is PredictionStatus.Waiting or PredictionStatus.Running;

    private static IResult Answer(Guid id, PredictionResponse? prediction) => prediction switch
    {
        null => Problems.NotFound("prediction", id),
        _ when IsOpen(prediction) => TypedResults.Accepted($"/api/predictions/{id}", prediction),
        _ => TypedResults.Ok(prediction),
    };

    private static IResult Answer(Guid batchId, List<PredictionResponse> predictions) => predictions switch
    {
        [] => Problems.NotFound("batch of predictions", batchId),
        _ when predictions.Exists(IsOpen) => TypedResults.Accepted($"/api/predictions/batches/{batchId}", new PredictionBatchResponse(batchId, predictions)),
        _ => TypedResults.Ok(new PredictionBatchResponse(batchId, predictions)),
    };

    private sealed record Position(DateTimeOffset CreatedAt, Guid Id);
}
