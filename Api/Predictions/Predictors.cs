using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Predictions;

/// <summary>Which experiment answers a model's predictions: the one that a person chose, or else the best one.</summary>
internal static class Predictors
{
    /// <summary>Changes that are kept of a model.</summary>
    public const int MaxHistory = 100;

    /// <summary>The change that holds; null where there was none.</summary>
    public static Task<PredictorChoice?> CurrentAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        db.PredictorChoices.AsNoTracking().Where(choice => choice.ModelId == modelId)
            .OrderByDescending(choice => choice.Number).FirstOrDefaultAsync(cancellationToken);

    /// <summary>The experiment that answers; null until there is one.</summary>
    public static async Task<BestExperiment?> FindAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        await CurrentAsync(db, modelId, cancellationToken) is { ExperimentId: { } chosen }
            ? await BestExperiments.FindCompletedAsync(db, modelId, chosen, cancellationToken)
            : await BestExperiments.FindAsync(db, modelId, cancellationToken);

    /// <summary>Has an experiment answer from now on, null the best one; one that does already changes nothing.</summary>
    /// <returns>False where there is no such model.</returns>
    public static Task<bool> ChooseAsync(ExperimentsDbContext db, Guid modelId, Guid? experimentId, CancellationToken cancellationToken) =>
        db.TransactAsync(
            async token =>
            {
                if (!await LockAsync(db, modelId, token))
                    return false;
                var current = await CurrentAsync(db, modelId, token);
                if (current?.ExperimentId != experimentId)
                    await AppendAsync(
                        db, modelId, current, experimentId, experimentId is null ? PredictorAction.FollowedBest : PredictorAction.Chosen, current?.Number ?? 0, token);
                return true;
            },
            cancellationToken);

    /// <summary>Goes back to what was before the change that holds; each further time to what was before that.</summary>
    /// <returns>False where nothing was before, or is not kept any more.</returns>
    public static Task<bool> RollBackAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        db.TransactAsync(
            async token =>
            {
                if (!await LockAsync(db, modelId, token) || await CurrentAsync(db, modelId, token) is not { Previous: { } previous } current)
                    return false;
                var target = await db.PredictorChoices.AsNoTracking()
                    .SingleOrDefaultAsync(choice => choice.ModelId == modelId && choice.Number == previous, token);
                if (target is null && previous > 0)
                    return false;
                await AppendAsync(db, modelId, current, target?.ExperimentId, PredictorAction.RolledBack, target?.Previous, token);
                return true;
            },
            cancellationToken);

    // One change after another, so that each one's number is its own.
    private static async Task<bool> LockAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        await db.Database.SqlQuery<int>($"""SELECT 1 AS "Value" FROM models WHERE id = {modelId} FOR NO KEY UPDATE""").ToListAsync(cancellationToken) is [_];

    private static async Task AppendAsync(
        ExperimentsDbContext db,
        Guid modelId,
        PredictorChoice? current,
        Guid? experimentId,
        PredictorAction action,
        int? previous,
        CancellationToken cancellationToken)
    {
        var number = (current?.Number ?? 0) + 1;
        // Not now(), which is from before the wait for the lock.
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO predictor_choices (model_id, number, experiment_id, action, previous, chosen_at)
            VALUES ({modelId}, {number}, {experimentId}, {action.ToString().ToLowerInvariant()}, {previous}, clock_timestamp())
            """,
            cancellationToken);
        await db.PredictorChoices.Where(choice => choice.ModelId == modelId && choice.Number <= number - MaxHistory).ExecuteDeleteAsync(cancellationToken);
    }
}
