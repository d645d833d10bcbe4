using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Experiments that differ in their seed or replicate only, taken together.</summary>
/// <param name="Parameters">Their parameters as JSON, without seed and replicate.</param>
/// <param name="Count">How many there are, in any status.</param>
/// <param name="Seeds">Of how many seeds one is completed at least.</param>
/// <param name="Mean">Of the seeds' validation accuracies; null until there is one.</param>
/// <param name="Deviation">Sample standard deviation over the seeds (n - 1); null below two.</param>
/// <param name="MostAccurate">The experiment with the highest accuracy.</param>
internal sealed record SeedGroup(
    string Parameters, int Count, int Seeds, double? Mean, double? Deviation, double? Lowest, double? Highest, Guid MostAccurate);

internal static class SeedStatistics
{
    /// <summary>The groups, best mean first; ties go to fewer steps, then to the older.</summary>
    /// <param name="studyId">Of this study only.</param>
    /// <param name="versionId">Of this data set version only.</param>
    /// <param name="minSeeds">Without groups of fewer completed seeds.</param>
    public static Task<List<SeedGroup>> ReadAsync(
        ExperimentsDbContext db, Guid? studyId, Guid? versionId, int minSeeds, int skip, int take, CancellationToken cancellationToken) =>
        // Replicates of a seed give the same accuracy: each seed counts once.
        db.Database.SqlQuery<SeedGroup>(
            $"""
            SELECT parameters::text AS "Parameters", sum(experiments)::int AS "Count", count(accuracy)::int AS "Seeds",
                   avg(accuracy) AS "Mean", stddev_samp(accuracy) AS "Deviation", min(lowest) AS "Lowest", max(highest) AS "Highest",
                   (array_agg(most_accurate ORDER BY highest DESC NULLS LAST, number))[1] AS "MostAccurate"
            FROM (SELECT experiments.parameters - 'seed' - 'replicate' AS parameters, count(*) AS experiments, avg(accuracy) AS accuracy,
                         min(accuracy) AS lowest, max(accuracy) AS highest, min(total_steps) AS steps, min(number) AS number,
                         (array_agg(experiments.id ORDER BY accuracy DESC NULLS LAST, number))[1] AS most_accurate
                  FROM experiments JOIN trajectories ON trajectories.id = experiments.trajectory_id
                  WHERE ({studyId}::uuid IS NULL OR study_id = {studyId}) AND ({versionId}::uuid IS NULL OR data_set_version_id = {versionId})
                  GROUP BY experiments.parameters - 'seed' - 'replicate', experiments.parameters -> 'seed') AS seeds
            GROUP BY parameters
            HAVING count(accuracy) >= {minSeeds}
            ORDER BY avg(accuracy) DESC NULLS LAST, min(steps), min(number)
            OFFSET {skip} LIMIT {take}
            """).ToListAsync(cancellationToken);
}
