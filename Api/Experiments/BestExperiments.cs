using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Images;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <param name="Classes">The class names, in the order of the weights' outputs.</param>
internal sealed record BestExperiment(
    Guid Id, Guid DataSetVersionId, string[] Classes, ExperimentParameters Parameters, double Accuracy, double? TestAccuracy);

/// <summary>A data set version that has a best experiment.</summary>
internal sealed class BestVersion
{
    public required Guid ModelId { get; init; }
    public required Guid ExperimentId { get; init; }
    public required Guid Id { get; init; }
    public required string Hash { get; init; }

    /// <summary>Whether the model has these images now.</summary>
    public required bool IsCurrent { get; init; }

    public DataSetVersionResponse ToResponse() => new(Id, Hash, IsCurrent);
}

/// <summary>Finds what <c>best</c> shows and predictions use.</summary>
internal static class BestExperiments
{
    public const string NoneYet =
        "No experiment of this model is completed yet: generate experiments (POST to its /experiments) and wait for one to complete.";

    /// <summary>
    /// The versions that have a best experiment, of each model the one to use first: that of the present images, or else the latest. So new
    /// images take nothing away until something better is trained on them, and old ones put back bring their best back.
    /// </summary>
    /// <remarks>As far as the models' hashes are fresh: <see cref="RefreshAsync"/> makes them.</remarks>
    public static IQueryable<BestVersion> Versions(ExperimentsDbContext db) =>
        from version in db.DataSetVersions
        join model in db.Models on version.ModelId equals model.Id
        where version.BestExperimentId != null
        let isCurrent = model.HashedRevision == model.ImagesRevision && model.DataSetHash == version.Hash
        orderby isCurrent descending, version.CreatedAt descending, version.Id descending
        select new BestVersion
        {
            ModelId = version.ModelId,
            ExperimentId = version.BestExperimentId!.Value,
            Id = version.Id,
            Hash = version.Hash,
            IsCurrent = isCurrent,
        };

    /// <summary>Makes a model's hash fresh, if it has a version to be told by it.</summary>
    public static async Task RefreshAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        if (await Versions(db).AnyAsync(version => version.ModelId == modelId, cancellationToken))
            await DataSetVersions.RefreshHashAsync(db, modelId, cancellationToken);
    }

    /// <summary>The version whose best experiment is the model's; null until there is one.</summary>
    public static async Task<BestVersion?> FindVersionAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        await RefreshAsync(db, modelId, cancellationToken);
        return await Versions(db).FirstOrDefaultAsync(version => version.ModelId == modelId, cancellationToken);
    }

    /// <summary>The model's best experiment, as a worker noted it; null until there is one.</summary>
    public static async Task<BestExperiment?> FindAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        await FindVersionAsync(db, modelId, cancellationToken) is { } version
            ? await FindCompletedAsync(db, modelId, version.ExperimentId, cancellationToken)
            : null;

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
