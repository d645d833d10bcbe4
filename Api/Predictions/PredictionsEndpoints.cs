using MlExperiments.Shared.Contracts;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Predictions;

/// <summary>Classifies an image with a trained experiment: asks a worker and waits for its answer.</summary>
internal static class PredictionsEndpoints
{
    internal const int MaxOpen = 1000;
    internal const int MaxWaitSeconds = 30;

    private const long MaxFileBytes = 32 * 1024 * 1024;

    // A notification that got lost costs at most this.
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private const string Example = """
        {"id": "01980c40-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "label": "7", "confidence": 0.98, "probabilities": [{"label": "7", "probability": 0.98}, {"label": "1", "probability": 0.02}],
         "experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam",
         "momentum": 0, "weightDecay": 0, "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0}}
        """;

    public static IServiceCollection AddPredictions(this IServiceCollection services) =>
        services.AddSingleton<PredictionSignals>().AddHostedService(provider => provider.GetRequiredService<PredictionSignals>());

    public static void MapPredictions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Predictions");
        group.MapPost("/models/{id:guid}/predictions", Predict)
            .WithSummary("Classifies one image with the model's best experiment, or with the one given")
            .WithDescription(
                "Waits for the answer up to wait seconds; then it answers 202 with a Location to ask again. PNG, JPEG, GIF, BMP and WebP " +
                "up to 32 MiB, of any size: it is resized as the training images are.")
            .WithExamples(response: Example)
            .Produces<PredictionResponse>()
            .Produces<PendingPrediction>(StatusCodes.Status202Accepted)
            .Fails(400, 404, 409, 413, 415, 429, 500)
            // Forms need no anti-forgery token: AccessControl refuses requests of other sites.
            .DisableAntiforgery()
            .WithMetadata(new RequestSizeLimitAttribute(MaxFileBytes + 65_536));
        group.MapGet("/predictions/{id:guid}", GetPrediction)
            .WithSummary("The answer to a prediction; 202 while there is none")
            .WithExamples(response: Example)
            .Produces<PredictionResponse>()
            .Produces<PendingPrediction>(StatusCodes.Status202Accepted)
            .Fails(404, 500);
    }

    private static async Task<IResult> Predict(
        Guid id,
        [Description("The image to classify.")] IFormFile? image,
        [FromForm, Description("A completed experiment of the model to use instead of the best one.")] Guid? experimentId,
        HttpContext context,
        ExperimentsDbContext db,
        PredictionSignals signals,
        TimeProvider clock,
        [Description("Seconds to wait for the answer, 0 to 30."), Range(0, MaxWaitSeconds, ErrorMessage = "wait is 0 to 30 seconds.")] int wait = 10,
        CancellationToken cancellationToken = default)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        if (image is null)
            return Problems.Invalid("image", "Send the image as the form field image: a multipart/form-data body, for example with curl -F image=@digit.png.");
        if (image.Length > MaxFileBytes)
            return Problems.Invalid("image", "The file is larger than 32 MiB.");
        var experiment = experimentId is { } chosen
            ? await BestExperiments.FindCompletedAsync(db, id, chosen, cancellationToken)
            : await BestExperiments.FindAsync(db, id, cancellationToken);
        if (experiment is null)
            return experimentId is null
                ? Problems.Conflict(BestExperiments.NoneYet)
                : Problems.Invalid("experimentId", $"The model has no completed experiment {experimentId}; leave it out to use the best one.");

        var pixels = new byte[model.InputShape.Size];
        using (var file = new MemoryStream((int)image.Length))
        {
            await image.CopyToAsync(file, cancellationToken);
            if (!ImageDecoder.TryDecode(file.GetBuffer().AsSpan(0, (int)file.Length), model.InputShape, pixels, out var reason))
                return Problems.Invalid("image", $"The image can't be read: {reason}.");
        }

        var open = await db.Predictions.Where(prediction => prediction.Status == PredictionStatus.Waiting || prediction.Status == PredictionStatus.Running)
            .Take(MaxOpen).CountAsync(cancellationToken);
        if (open >= MaxOpen)
            return Problems.TooMany(context, $"{MaxOpen} predictions wait already: try again in a few seconds, or start more workers.", TimeSpan.FromSeconds(5));

        var predictionId = Guid.CreateVersion7();
        using var waiter = signals.Expect(predictionId);
        var fileName = image.FileName.Length <= Image.MaxFileNameLength ? image.FileName : image.FileName[..Image.MaxFileNameLength];
        // One statement, so that row and notification commit together; the row comes from the model's, which may just have been deleted.
        var asked = await db.Database.SqlQuery<Guid>(
            $"""
            WITH asked AS (
                INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, attempts, created_at)
                SELECT {predictionId}, model_id, id, 'waiting', {pixels}, {fileName.Replace("\0", "", StringComparison.Ordinal)}, 0, now()
                FROM experiments WHERE id = {experiment.Id} FOR KEY SHARE
                RETURNING id)
            SELECT id AS "Value" FROM asked, LATERAL pg_notify({PredictionChannels.Asked}, id::text)
            """).ToListAsync(cancellationToken);
        if (asked.Count == 0)
            return Problems.NotFound("model", id);

        var deadline = clock.GetUtcNow() + TimeSpan.FromSeconds(wait);
        while (true)
        {
            var left = deadline - clock.GetUtcNow();
            if (left > TimeSpan.Zero)
                await waiter.WaitAsync(left < LookAgain ? left : LookAgain, cancellationToken);
            var result = await AnswerAsync(db, predictionId, cancellationToken);
            if (result is not Accepted<PendingPrediction> || deadline <= clock.GetUtcNow())
                return result;
        }
    }

    private static Task<IResult> GetPrediction(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        AnswerAsync(db, id, cancellationToken);

    private static async Task<IResult> AnswerAsync(ExperimentsDbContext db, Guid id, CancellationToken cancellationToken)
    {
        var prediction = await db.Predictions.AsNoTracking().Where(candidate => candidate.Id == id)
            .Select(candidate => new { candidate.ModelId, candidate.ExperimentId, candidate.Status, candidate.Probabilities, candidate.Error })
            .SingleOrDefaultAsync(cancellationToken);
        if (prediction is null)
            return Problems.NotFound("prediction", id);
        if (prediction.Status == PredictionStatus.Failed)
            return TypedResults.Problem($"The prediction failed: {prediction.Error}", statusCode: StatusCodes.Status500InternalServerError);
        if (prediction.Status != PredictionStatus.Completed)
            return TypedResults.Accepted($"/api/predictions/{id}", new PendingPrediction(id, prediction.Status));
        if (await BestExperiments.FindCompletedAsync(db, prediction.ModelId, prediction.ExperimentId, cancellationToken) is not { } experiment)
            return Problems.NotFound("prediction", id);
        var probabilities = experiment.Classes.Zip(prediction.Probabilities!, (label, probability) => new ClassProbability(label, probability))
            .OrderByDescending(entry => entry.Probability).ToList();
        return TypedResults.Ok(new PredictionResponse(
            id, probabilities[0].Label, probabilities[0].Probability, probabilities, experiment.Id, experiment.Parameters));
    }
}
