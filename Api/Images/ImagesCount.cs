using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Counts images by class and split, as uploaded and as the next experiments will use them.</summary>
internal static class ImagesCount
{
    public static ImagesSummary Summarize(IReadOnlyList<ManifestImage> images)
    {
        DataSetManifest.TryCreate(images, out var manifest, out var reason);
        var uploaded = images.GroupBy(image => image.Label, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => Count(group.Select(image => image.Split)), StringComparer.Ordinal);
        var resolved = manifest is null
            ? null
            : Enumerable.Range(0, manifest.Count).GroupBy(manifest.Label)
                .ToDictionary(group => manifest.Classes[group.Key], group => Count(group.Select(manifest.Split)), StringComparer.Ordinal);
        return new ImagesSummary(
            images.Count,
            images.Sum(image => (long)image.Length),
            Add(uploaded.Values),
            resolved is null ? null : Add(resolved.Values),
            reason,
            [.. uploaded.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => new ClassSummary(
                entry.Key,
                entry.Value.Train + entry.Value.Validation + entry.Value.Test,
                entry.Value,
                resolved?[entry.Key]))]);
    }

    private static SplitCounts Count(IEnumerable<ImageSplit> splits)
    {
        var counts = new int[3];
        foreach (var split in splits)
            counts[(int)split]++;
        return new SplitCounts(counts[0], counts[1], counts[2]);
    }

    private static SplitCounts Add(IEnumerable<SplitCounts> counts) =>
        counts.Aggregate(new SplitCounts(0, 0, 0), (sum, next) => new(sum.Train + next.Train, sum.Validation + next.Validation, sum.Test + next.Test));
}
