using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace MlExperiments.Worker.DataSets;

/// <summary>Says which images the rows are that a trainer names: rows mean nothing without the data set version's manifest.</summary>
public sealed partial class ImageHashes(IDbContextFactory<ExperimentsDbContext> databases, IBlobStore blobs, ILogger<ImageHashes> logger)
{
    /// <summary>The milestone with each of its worst images' hash, where the manifest has it.</summary>
    public async Task<MilestoneEvent> NameAsync(Guid dataSetVersionId, MilestoneEvent milestone, CancellationToken cancellationToken)
    {
        int[] rows = [.. Rows(milestone.Classes), .. Rows(milestone.TestClasses)];
        if (rows.Length == 0)
            return milestone;
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            var manifest = await db.DataSetVersions.Where(version => version.Id == dataSetVersionId)
                .Select(version => version.ManifestBlob).SingleOrDefaultAsync(cancellationToken);
            if (manifest is null)
                return milestone;
            var hashes = DataSetManifest.ReadHashes(await blobs.GetPathAsync(manifest, cancellationToken), rows);
            var byRow = rows.Zip(hashes).DistinctBy(pair => pair.First).ToDictionary(pair => pair.First, pair => pair.Second);
            return milestone with { Classes = Name(milestone.Classes, byRow), TestClasses = Name(milestone.TestClasses, byRow) };
        }
        catch (Exception exception) when (exception is BlobNotFoundException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            // A result is worth more than the names of a few images.
            LogUnnamed(logger, dataSetVersionId, exception.Message);
            return milestone;
        }
    }

    private static IEnumerable<int> Rows(ClassMeasurement? classes) => classes?.Worst.Select(image => image.Row) ?? [];

    private static ClassMeasurement? Name(ClassMeasurement? classes, Dictionary<int, string?> hashes) =>
        classes is null ? null : classes with { Worst = [.. classes.Worst.Select(image => image with { Sha256 = hashes[image.Row] })] };

    [LoggerMessage(LogLevel.Warning, "The worst images of data set version {DataSetVersionId} stay without names: {Reason}")]
    private static partial void LogUnnamed(ILogger logger, Guid dataSetVersionId, string reason);
}
