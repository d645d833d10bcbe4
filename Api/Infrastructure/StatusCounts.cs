using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Infrastructure;

/// <summary>How many experiments are in each status, every status named.</summary>
internal static class StatusCounts
{
    public static IEnumerable<string> Names => Enum.GetValues<ExperimentStatus>().Select(Name);

    /// <summary>Exactly a name, so that neither a number nor several words pass for one.</summary>
    public static bool TryParse(string word, out ExperimentStatus status)
    {
        var found = Enum.GetValues<ExperimentStatus>().Where(candidate => Name(candidate).Equals(word, StringComparison.OrdinalIgnoreCase)).ToList();
        status = found.FirstOrDefault();
        return found.Count == 1;
    }

    /// <summary>Counted by the database: grouped without a selection, the rows themselves would come.</summary>
    public static Task<Dictionary<ExperimentStatus, int>> ReadAsync(IQueryable<Experiment> experiments, CancellationToken cancellationToken) =>
        experiments.GroupBy(experiment => experiment.Status)
            .Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellationToken);

    public static string Name(ExperimentStatus status) => JsonNamingPolicy.CamelCase.ConvertName(status.ToString());

    public static IReadOnlyDictionary<string, int> All(IReadOnlyDictionary<ExperimentStatus, int> counts) =>
        Enum.GetValues<ExperimentStatus>().ToDictionary(
            Name,
            status => counts.GetValueOrDefault(status));
}
