using System.Text.Json;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Infrastructure;

/// <summary>How many experiments are in each status, every status named.</summary>
internal static class StatusCounts
{
    public static IReadOnlyDictionary<string, int> All(IReadOnlyDictionary<ExperimentStatus, int> counts) =>
        Enum.GetValues<ExperimentStatus>().ToDictionary(
            status => JsonNamingPolicy.CamelCase.ConvertName(status.ToString()),
            status => counts.GetValueOrDefault(status));
}
