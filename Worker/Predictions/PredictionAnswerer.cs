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

    /// <summary>One that crashes trainers is tried twice: fewer times than a training that shares the trainer may be lost.</summary>
    private const int MaxAttempts = 2;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(30);

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
            while (await AnswerBatchAsync(cancellationToken) == Batch)
            {
                // More may wait.
            }

            await connection.WaitAsync(LookEvery, cancellationToken);
        }
    }

    private async Task<int> AnswerBatchAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await FailAbandonedAsync(db, cancellationToken);
        var claimed = await db.Database.SqlQuery<ClaimedRow>(
            $"""
            UPDATE predictions SET status = 'running', claimed_until = now() + {AnswerWithin}, attempts = attempts + 1
            WHERE id IN (SELECT id FROM predictions
                         WHERE (status = 'waiting' OR (status = 'running' AND claimed_until < now())) AND attempts < {MaxAttempts}
                         ORDER BY created_at LIMIT {Batch} FOR UPDATE SKIP LOCKED)
            RETURNING id AS "Id", experiment_id AS "ExperimentId", pixels AS "Pixels", attempts AS "Attempts"
            """).ToListAsync(cancellationToken);
        foreach (var group in claimed.GroupBy(row => row.ExperimentId))
            await AnswerAsync(db, group.Key, [.. group], cancellationToken);
        return claimed.Count;
    }

    private async Task AnswerAsync(ExperimentsDbContext db, Guid experimentId, List<ClaimedRow> rows, CancellationToken cancellationToken)
    {
        try
        {
            var weights = await db.Experiments.Where(experiment => experiment.Id == experimentId)
                .Select(experiment => experiment.WeightsBlob).SingleAsync(cancellationToken)
                ?? throw new InvalidOperationException("The experiment has no weights.");
            var command = new PredictCommand(
                Guid.NewGuid(), await blobs.GetPathAsync(weights, cancellationToken), [.. rows.Select(row => row.Pixels)]);
            var answer = await AskAsync(slots.ForPrediction(), command, cancellationToken);
            for (var row = 0; row < rows.Count; row++)
                await StoreAsync(db, rows[row], answer.Probabilities?[row], answer.Error, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // This worker stops; another one answers, and this attempt does not count.
            await GiveBackAsync(db, rows, attempts: -1, CancellationToken.None);
            throw;
        }
        catch (Exception exception)
        {
            LogNotAnswered(logger, rows.Count, exception.Message);
            if (rows is [{ Attempts: >= MaxAttempts }, ..])
            {
                foreach (var row in rows)
                    await StoreAsync(db, row, null, exception.Message, cancellationToken);
            }
            else
            {
                await GiveBackAsync(db, rows, attempts: 0, cancellationToken);
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

    /// <summary>Fails those that took their last worker with them, so that whoever waits learns it.</summary>
    private static Task<int> FailAbandonedAsync(ExperimentsDbContext db, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"""
            WITH failed AS (
                UPDATE predictions
                SET status = 'failed', error = 'The workers that tried it ended before they answered.', finished_at = now(), claimed_until = NULL, pixels = ''
                WHERE status = 'running' AND claimed_until < now() AND attempts >= {MaxAttempts}
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

    /// <summary>Lets another try them.</summary>
    private static async Task GiveBackAsync(ExperimentsDbContext db, List<ClaimedRow> rows, int attempts, CancellationToken cancellationToken)
    {
        foreach (var row in rows)
            await db.Predictions
                .Where(prediction => prediction.Id == row.Id && prediction.Status == PredictionStatus.Running && prediction.Attempts == row.Attempts)
                .ExecuteUpdateAsync(
                    set => set
                        .SetProperty(prediction => prediction.Status, PredictionStatus.Waiting)
                        .SetProperty(prediction => prediction.Attempts, row.Attempts + attempts)
                        .SetProperty(prediction => prediction.ClaimedUntil, (DateTimeOffset?)null),
                    cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "Predictions can't be read now: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "{Count} predictions were not answered: {Reason}")]
    private static partial void LogNotAnswered(ILogger logger, int count, string reason);
}
