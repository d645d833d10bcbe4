using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Worker.Jobs;
using MlExperiments.Worker.Slots;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.Predictions;

/// <summary>
/// Answers predictions: woken by a notification, it claims waiting rows (each goes to one worker), has a trainer classify them
/// and stores the answers with a notification for whoever waits. A missed notification is made up for by looking every second.
/// </summary>
public sealed partial class PredictionAnswerer(
    IConfiguration configuration,
    IDbContextFactory<ExperimentsDbContext> databases,
    IBlobStore blobs,
    SlotPool slots,
    ILogger<PredictionAnswerer> logger) : BackgroundService
{
    /// <summary>Rows of one claim, and of one command to a trainer.</summary>
    private const int Batch = 16;

    /// <summary>One that ends trainers is tried once with others and once alone.</summary>
    private const int MaxAttempts = 2;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(30);

    /// <summary>With time for what comes before and after the answer.</summary>
    private static readonly TimeSpan ClaimFor = AnswerWithin + TimeSpan.FromSeconds(10);

    private sealed record ClaimedRow(Guid Id, Guid ExperimentId, byte[] Pixels, int Attempts);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The database may be away; listen again on a new connection.
                LogFailed(logger, exception.Message);
                await Task.Delay(LookEvery, stoppingToken);
            }
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        await using var connection = await Database.ListenAsync(configuration, PredictionChannels.Asked, hear: null, cancellationToken);
        while (true)
        {
            while (await AnswerBatchAsync(cancellationToken))
            {
                // More may wait.
            }

            await connection.WaitAsync(LookEvery, cancellationToken);
        }
    }

    /// <returns>False where there is nothing to do now.</returns>
    private async Task<bool> AnswerBatchAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await FailAbandonedAsync(db, cancellationToken);
        // Without a trainer they are left to another worker, or wait.
        if (slots.ForPrediction() is not { } trainer)
            return false;
        var claimed = await ClaimAsync(db, cancellationToken);
        if (claimed.Count == 0)
            return false;
        await AnswerAsync(db, trainer, claimed, cancellationToken);
        return true;
    }

    /// <summary>The one that waits longest, with others of its experiment. One that was tried before is tried alone: it may be what ended the trainer.</summary>
    private static Task<List<ClaimedRow>> ClaimAsync(ExperimentsDbContext db, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<ClaimedRow>(
            $"""
            WITH first AS (
                SELECT id, experiment_id, attempts FROM predictions
                WHERE (status = 'waiting' OR (status = 'running' AND claimed_until < now())) AND attempts < {MaxAttempts}
                ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED),
            batch AS (
                SELECT predictions.id FROM predictions, first
                WHERE predictions.id = first.id
                   OR (first.attempts = 0 AND predictions.attempts = 0 AND predictions.status = 'waiting' AND predictions.experiment_id = first.experiment_id)
                ORDER BY predictions.created_at LIMIT {Batch} FOR UPDATE OF predictions SKIP LOCKED)
            UPDATE predictions SET status = 'running', claimed_until = now() + {ClaimFor}, attempts = attempts + 1
            WHERE id IN (SELECT id FROM batch)
            RETURNING id AS "Id", experiment_id AS "ExperimentId", pixels AS "Pixels", attempts AS "Attempts"
            """).ToListAsync(cancellationToken);

    private async Task AnswerAsync(ExperimentsDbContext db, TrainerProcess trainer, List<ClaimedRow> rows, CancellationToken cancellationToken)
    {
        try
        {
            var weights = await db.Experiments.Where(experiment => experiment.Id == rows[0].ExperimentId)
                .Select(experiment => experiment.WeightsBlob).SingleAsync(cancellationToken)
                ?? throw new InvalidOperationException("The experiment has no weights.");
            var command = new PredictCommand(
                Guid.NewGuid(), await blobs.GetPathAsync(weights, cancellationToken), [.. rows.Select(row => row.Pixels)]);
            var answer = await AskAsync(trainer, command, cancellationToken);
            for (var row = 0; row < rows.Count; row++)
                await StoreAsync(db, rows[row], answer.Probabilities?[row], answer.Error, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // This worker stops; another one answers, and this attempt does not count.
            foreach (var row in rows)
                await GiveBackAsync(db, row, row.Attempts - 1, CancellationToken.None);
            throw;
        }
        catch (Exception exception)
        {
            LogNotAnswered(logger, rows.Count, exception.Message);
            foreach (var row in rows)
            {
                if (row.Attempts < MaxAttempts)
                    await GiveBackAsync(db, row, row.Attempts, cancellationToken);
                else
                    await StoreAsync(db, row, null, exception.Message, cancellationToken);
            }
        }
    }

    private static async Task<PredictionEvent> AskAsync(TrainerProcess trainer, PredictCommand command, CancellationToken cancellationToken)
    {
        using var inTime = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        inTime.CancelAfter(AnswerWithin);
        try
        {
            return await trainer.PredictAsync(command, inTime.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // One that trains is watched by its attempt; one that rests would keep everybody waiting.
            if (!trainer.IsTraining)
                trainer.Kill();
            throw new TrainerSilentException($"The trainer did not answer within {AnswerWithin.TotalSeconds:0} s.");
        }
    }

    /// <summary>Fails those that no claim takes any more, as one that took its last worker with it, so that whoever waits learns it.</summary>
    private static Task<int> FailAbandonedAsync(ExperimentsDbContext db, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"""
            WITH failed AS (
                UPDATE predictions
                SET status = 'failed', error = 'The workers that tried it ended before they answered.', finished_at = now(), claimed_until = NULL, pixels = ''
                WHERE (status = 'waiting' OR (status = 'running' AND claimed_until < now())) AND attempts >= {MaxAttempts}
                RETURNING id)
            SELECT pg_notify({PredictionChannels.Answered}, id::text) FROM failed
            """,
            cancellationToken);

    private static Task<int> StoreAsync(
        ExperimentsDbContext db, ClaimedRow row, double[]? probabilities, string? error, CancellationToken cancellationToken) =>
        // The claim's number of attempts is its fence: an answer that comes after another worker took over changes nothing.
        db.Database.ExecuteSqlAsync(
            $"""
            WITH answered AS (
                UPDATE predictions
                SET status = CASE WHEN {probabilities}::double precision[] IS NULL THEN 'failed' ELSE 'completed' END,
                    probabilities = {probabilities}, error = {(error is null ? null : ErrorText.Clean(error))}, finished_at = now(), claimed_until = NULL, pixels = ''
                WHERE id = {row.Id} AND status = 'running' AND attempts = {row.Attempts}
                RETURNING id)
            SELECT pg_notify({PredictionChannels.Answered}, id::text) FROM answered
            """,
            cancellationToken);

    /// <summary>Lets it be tried again.</summary>
    private static Task<int> GiveBackAsync(ExperimentsDbContext db, ClaimedRow row, int attempts, CancellationToken cancellationToken) =>
        db.Predictions
            .Where(prediction => prediction.Id == row.Id && prediction.Status == PredictionStatus.Running && prediction.Attempts == row.Attempts)
            .ExecuteUpdateAsync(
                set => set
                    .SetProperty(prediction => prediction.Status, PredictionStatus.Waiting)
                    .SetProperty(prediction => prediction.Attempts, attempts)
                    .SetProperty(prediction => prediction.ClaimedUntil, (DateTimeOffset?)null),
                cancellationToken);

    [LoggerMessage(LogLevel.Warning, "Predictions can't be read now: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "{Count} predictions were not answered: {Reason}")]
    private static partial void LogNotAnswered(ILogger logger, int count, string reason);
}
