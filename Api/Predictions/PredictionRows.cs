using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Predictions;

/// <summary>An image to classify, as its row holds it.</summary>
/// <param name="Pixels">uint8 <c>[h, w, c]</c> of the model's input shape.</param>
internal sealed record AskedImage(Guid Id, string FileName, byte[] Pixels);

/// <summary>Asks for predictions, and reads them as the API shows them.</summary>
internal static class PredictionRows
{
    private const string Diverged = "This experiment diverged: its weights give no probabilities. Choose another experiment.";

    /// <summary>Stores the images and wakes the workers once, in one statement.</summary>
    /// <param name="batchId">Null for an image on its own.</param>
    /// <returns>False where the model was deleted meanwhile.</returns>
    public static async Task<bool> AskAsync(
        NpgsqlDataSource database, Guid experimentId, Guid? batchId, IReadOnlyList<AskedImage> images, CancellationToken cancellationToken)
    {
        await using var asking = database.CreateCommand(
            """
            WITH asked AS (
                INSERT INTO predictions (id, model_id, experiment_id, batch_id, status, pixels, file_name, attempts, created_at)
                SELECT image.id, experiments.model_id, experiments.id, $2, 'waiting', image.pixels, image.file_name, 0, now()
                FROM experiments, unnest($3, $4, $5) AS image (id, pixels, file_name)
                WHERE experiments.id = $1 FOR KEY SHARE OF experiments
                RETURNING id)
            SELECT count(*), pg_notify($6, min(id::text)) FROM asked
            """);
        foreach (var value in new object[]
        {
            experimentId,
            batchId is { } batch ? batch : DBNull.Value,
            images.Select(image => image.Id).ToArray(),
            images.Select(image => image.Pixels).ToArray(),
            images.Select(image => image.FileName).ToArray(),
            PredictionChannels.Asked,
        })
            asking.Parameters.Add(new NpgsqlParameter { Value = value });
        return await asking.ExecuteScalarAsync(cancellationToken) is > 0L;
    }

    /// <summary>In the order of the query.</summary>
    public static async Task<List<PredictionResponse>> ToResponsesAsync(
        this IQueryable<Prediction> predictions, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        // Without the pixels.
        var rows = await predictions.AsNoTracking()
            .Select(prediction => new
            {
                prediction.Id, prediction.ExperimentId, prediction.Status, prediction.FileName, prediction.Probabilities, prediction.Error, prediction.CreatedAt,
            })
            .ToListAsync(cancellationToken);
        var ids = rows.Select(row => row.ExperimentId).Distinct().ToArray();
        var experiments = await (
            from experiment in db.Experiments
            join version in db.DataSetVersions on experiment.Trajectory!.DataSetVersionId equals version.Id
            where ids.Contains(experiment.Id)
            select new { experiment.Id, experiment.Parameters, version.Classes })
            .ToDictionaryAsync(
                experiment => experiment.Id,
                experiment => (Parameters: ExperimentRows.ReadParameters(experiment.Parameters), experiment.Classes),
                cancellationToken);
        // One whose experiment is gone was deleted between the two queries.
        return [.. rows.Where(row => experiments.ContainsKey(row.ExperimentId)).Select(row =>
        {
            var (parameters, classes) = experiments[row.ExperimentId];
            var response = new PredictionResponse(row.Id, row.Status, row.FileName, null, null, [], row.ExperimentId, parameters, row.Error, row.CreatedAt);
            if (row.Status != PredictionStatus.Completed)
                return response;
            if (!row.Probabilities!.All(double.IsFinite))
                return response with { Status = PredictionStatus.Failed, Error = Diverged };
            var probabilities = classes.Zip(row.Probabilities!, (label, probability) => new ClassProbability(label, probability))
                .OrderByDescending(entry => entry.Probability).ToList();
            return response with { Label = probabilities[0].Label, Confidence = probabilities[0].Probability, Probabilities = probabilities };
        })];
    }
}
