using System.Text.Json;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Infrastructure;

/// <summary>How many experiments are in each status, every status named.</summary>
internal static class StatusCounts
{
    public static IEnumerable<string> Names => Enum.GetValues<ExperimentStatus>().Select(Name);

    public static string Name(ExperimentStatus status) => JsonNamingPolicy.CamelCase.ConvertName(status.ToString());

    public static IReadOnlyDictionary<string, int> All(IReadOnlyDictionary<ExperimentStatus, int> counts) =>
        Enum.GetValues<ExperimentStatus>().ToDictionary(
            Name,
            status => counts.GetValueOrDefault(status));
}
