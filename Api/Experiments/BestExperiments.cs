using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <param name="Classes">The class names, in the order of the weights' outputs.</param>
internal sealed record BestExperiment(
    Guid Id, Guid DataSetVersionId, string[] Classes, ExperimentParameters Parameters, double Accuracy, double? TestAccuracy);

/// <summary>Finds what <c>best</c> shows and predictions use.</summary>
internal static class BestExperiments
{
    public const string NoneYet =
        "No experiment of this model is completed yet: generate experiments (POST to its /experiments) and wait for one to complete.";

    /// <summary>
    /// The versions that have a best experiment, the one to use first. Of a model whose newest version has none yet, that is the latest
    /// that has one: new images take nothing away until something better is trained on them.
    /// </summary>
    public static IQueryable<DataSetVersion> Versions(ExperimentsDbContext db) =>
        db.DataSetVersions.AsNoTracking().Where(version => version.BestExperimentId != null)
            .OrderByDescending(version => version.CreatedAt).ThenByDescending(version => version.Id);

    /// <summary>The model's best experiment, as a worker noted it; null until there is one.</summary>
    public static async Task<BestExperiment?> FindAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        var best = await Versions(db).Where(version => version.ModelId == modelId)
            .Select(version => version.BestExperimentId).FirstOrDefaultAsync(cancellationToken);
        return best is { } id ? await FindCompletedAsync(db, modelId, id, cancellationToken) : null;
    }

    /// <summary>A completed experiment of the model; null where it is not one.</summary>
    public static async Task<BestExperiment?> FindCompletedAsync(ExperimentsDbContext db, Guid modelId, Guid id, CancellationToken cancellationToken)
    {
        var found = await (
            from experiment in db.Experiments.AsNoTracking()
            join version in db.DataSetVersions on experiment.Trajectory!.DataSetVersionId equals version.Id
            where experiment.Id == id && experiment.ModelId == modelId && experiment.Status == ExperimentStatus.Completed
            select new { experiment, version.Id, version.Classes }).SingleOrDefaultAsync(cancellationToken);
        return found is null
            ? null
            : new BestExperiment(
                id,
                found.Id,
                found.Classes,
                ExperimentRows.ReadParameters(found.experiment.Parameters),
                found.experiment.Accuracy ?? 0,
                found.experiment.TestAccuracy);
    }
}
