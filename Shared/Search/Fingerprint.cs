using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>Names what would be trained: equal fingerprints, equal results, so it is trained once. SHA-256, 64 lower-case hex digits.</summary>
public static class Fingerprint
{
    /// <param name="dataSetVersionHash">64 lower-case hex digits.</param>
    public static string OfExperiment(Guid modelId, string dataSetVersionHash, ExperimentParameters parameters) =>
        Of(modelId, dataSetVersionHash, JsonSerializer.Serialize(parameters, ContractJson.Options));

    /// <param name="dataSetVersionHash">64 lower-case hex digits.</param>
    public static string OfTrajectory(Guid modelId, string dataSetVersionHash, TrajectoryParameters parameters) =>
        Of(modelId, dataSetVersionHash, JsonSerializer.Serialize(parameters, ContractJson.Options));

    private static string Of(Guid modelId, string dataSetVersionHash, string parameters) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{modelId:N}\n{dataSetVersionHash}\n{parameters}")));
}
