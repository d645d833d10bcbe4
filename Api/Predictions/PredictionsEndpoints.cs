using MlExperiments.Shared.Contracts;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Predictions;

/// <summary>Classifies an image with a trained experiment: asks a worker and waits for its answer.</summary>
internal static class PredictionsEndpoints
{
    internal const int MaxOpen = 1000;
    internal const int MaxWaitSeconds = 30;

    private const string Diverged = "This experiment diverged: its weights give no probabilities. Choose another experiment.";

    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(5);

    // A notification that got lost costs at most this.
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private const string Example = """
        {"id": "01980c40-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "status": "completed", "label": "7", "confidence": 0.98, "probabilities": [{"label": "7", "probability": 0.98}, {"label": "1", "probability": 0.02}],
         "experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam",
         "momentum": 0, "weightDecay": 0, "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0}, "error": null}
        """;

    private const string PendingExample = """
        {"id": "01980c40-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "status": "waiting", "label": null, "confidence": null, "probabilities": [],
         "experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "parameters": {"steps": 2000, "learningRate": 0.001, "layers": 2, "batchSize": 64, "optimizer": "adam",
         "momentum": 0, "weightDecay": 0, "dropout": 0.5, "filters": 32, "kernelSize": 3, "denseUnits": 128, "architecture": "cnn", "seed": 0}, "error": null}
        """;

    public static IServiceCollection AddPredictions(this IServiceCollection services) =>
        services.AddSingleton<ImageGate>().AddSingleton<PredictionSignals>().AddHostedService(provider => provider.GetRequiredService<PredictionSignals>());

    public static void MapPredictions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Predictions");
        group.MapPost("/models/{id:guid}/predictions", Predict)
            .WithSummary("Classifies one image with the model's best experiment, or with the one given")
            .WithDescription(
                "Waits for the answer up to wait seconds; then it answers 202 with a Location to ask again. A prediction that fails while it is waited for " +
                "is answered 409 with the reason. PNG, JPEG, GIF, BMP and WebP up to 32 MiB, of any size: it is resized as the training images are.")
            .TakesForm<RouteHandlerBuilder, PredictForm>()
            .WithExamples(response: Example)
            .WithExample(202, PendingExample)
            .Produces<PredictionResponse>()
            .Produces<PredictionResponse>(StatusCodes.Status202Accepted)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The prediction failed: the trainer ran out of memory."}""")
            .Fails(400, 404, 409, 413, 415, 429)
            .WithMetadata(new RequestSizeLimitAttribute(PredictionForms.MaxBytes));
        group.MapGet("/predictions/{id:guid}", GetPrediction)
            .WithSummary("A prediction and its answer; 202 while there is none")
            .WithDescription("One that failed is answered 200 too: its status is failed, and error says why.")
            .WithExamples(response: Example)
            .WithExample(202, PendingExample)
            .Produces<PredictionResponse>()
            .Produces<PredictionResponse>(StatusCodes.Status202Accepted)
            .Fails(404);
    }

    private static async Task<IResult> Predict(
        Guid id,
        HttpContext context,
        ExperimentsDbContext db,
        PredictionSignals signals,
        ImageGate gate,
        TimeProvider clock,
        [Description("Seconds to wait for the answer, 0 to 30."), Range(0, MaxWaitSeconds, ErrorMessage = "wait is 0 to 30 seconds.")] int wait = 10,
        CancellationToken cancellationToken = default)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        // Before the image is read: a crowd is to cost nothing.
        var open = await db.Predictions.Where(prediction => prediction.Status == PredictionStatus.Waiting || prediction.Status == PredictionStatus.Running)
            .OrderBy(prediction => prediction.CreatedAt).Take(MaxOpen).CountAsync(cancellationToken);
        if (open >= MaxOpen)
            return Problems.TooMany(context, $"{MaxOpen} predictions wait already: try again in a few seconds, or start more workers.", TryAgain);
        var (form, refusal) = await PredictionForms.ReadAsync(context, cancellationToken);
        if (form is null)
            return refusal!;
        var experiment = form.ExperimentId is { } chosen
            ? await BestExperiments.FindCompletedAsync(db, id, chosen, cancellationToken)
            : await BestExperiments.FindAsync(db, id, cancellationToken);
        if (experiment is null)
            return form.ExperimentId is null
                ? Problems.Conflict(BestExperiments.NoneYet)
                : Problems.Invalid("experimentId", $"The model has no completed experiment {form.ExperimentId}; leave it out to use the best one.");

        var pixels = new byte[model.InputShape.Size];
        using (var place = await gate.EnterAsync(cancellationToken))
        {
            if (place is null)
                return Problems.TooMany(context, "Too many images are being read at the moment: try again in a few seconds.", TryAgain);
            using var file = new MemoryStream((int)form.Image.Length);
            await form.Image.CopyToAsync(file, cancellationToken);
            if (!ImageDecoder.TryDecode(file.GetBuffer().AsSpan(0, (int)file.Length), model.InputShape, pixels, out var reason))
                return Problems.Invalid("image", $"The image can't be read: {reason}.");
        }

        var predictionId = Guid.CreateVersion7();
        using var waiter = signals.Expect(predictionId);
        var fileName = Labels.FileName(form.Image.FileName);
        // One statement, so that row and notification commit together; the row comes from the model's, which may just have been deleted.
        var asked = await db.Database.SqlQuery<Guid>(
            $"""
            WITH asked AS (
                INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, attempts, created_at)
                SELECT {predictionId}, model_id, id, 'waiting', {pixels}, {fileName}, 0, now()
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
            var prediction = await FindAsync(db, predictionId, cancellationToken);
            if (prediction is { Status: PredictionStatus.Failed })
                return Problems.Conflict($"The prediction failed: {prediction.Error}");
            if (prediction is not { Status: PredictionStatus.Waiting or PredictionStatus.Running } || deadline <= clock.GetUtcNow())
                return Answer(predictionId, prediction);
        }
    }

    private static async Task<IResult> GetPrediction(Guid id, ExperimentsDbContext db, CancellationToken cancellationToken) =>
        Answer(id, await FindAsync(db, id, cancellationToken));

    private static IResult Answer(Guid id, PredictionResponse? prediction) => prediction switch
    {
        null => Problems.NotFound("prediction", id),
        { Status: PredictionStatus.Waiting or PredictionStatus.Running } => TypedResults.Accepted($"/api/predictions/{id}", prediction),
        _ => TypedResults.Ok(prediction),
    };

    private static async Task<PredictionResponse?> FindAsync(ExperimentsDbContext db, Guid id, CancellationToken cancellationToken)
    {
        var prediction = await db.Predictions.AsNoTracking().Where(candidate => candidate.Id == id)
            .Select(candidate => new { candidate.ModelId, candidate.ExperimentId, candidate.Status, candidate.Probabilities, candidate.Error })
            .SingleOrDefaultAsync(cancellationToken);
        if (prediction is null
            || await BestExperiments.FindCompletedAsync(db, prediction.ModelId, prediction.ExperimentId, cancellationToken) is not { } experiment)
            return null;
        var response = new PredictionResponse(id, prediction.Status, null, null, [], experiment.Id, experiment.Parameters, prediction.Error);
        if (prediction.Status != PredictionStatus.Completed)
            return response;
        if (!prediction.Probabilities!.All(double.IsFinite))
            return response with { Status = PredictionStatus.Failed, Error = Diverged };
        var probabilities = experiment.Classes.Zip(prediction.Probabilities!, (label, probability) => new ClassProbability(label, probability))
            .OrderByDescending(entry => entry.Probability).ToList();
        return response with { Label = probabilities[0].Label, Confidence = probabilities[0].Probability, Probabilities = probabilities };
    }
}
