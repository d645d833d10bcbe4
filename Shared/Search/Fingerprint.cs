using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Search;

/// <summary>Names what would be trained: equal fingerprints, equal results, so it is trained once. SHA-256, 64 lower-case hex digits.</summary>
public static class Fingerprint
{
    private static readonly JsonObject Defaults = CreateDefaults();

    /// <param name="dataSetVersionHash">64 lower-case hex digits.</param>
    public static string OfExperiment(Guid modelId, string dataSetVersionHash, ExperimentParameters parameters) =>
        Of(modelId, dataSetVersionHash, Canonical(parameters));

    /// <param name="dataSetVersionHash">64 lower-case hex digits.</param>
    public static string OfTrajectory(Guid modelId, string dataSetVersionHash, TrajectoryParameters parameters) =>
        Of(modelId, dataSetVersionHash, Canonical(parameters));

    /// <summary>
    /// The parameters as JSON, by name, without those that have their default: a parameter that is new in a later version changes no text
    /// of an earlier one.
    /// </summary>
    /// <param name="parameters">Those of <typeparamref name="T"/> count: an experiment's steps not where it is taken for a trajectory.</param>
    public static string Canonical<T>(T parameters) where T : TrajectoryParameters =>
        new JsonObject(ToObject(parameters)
            .Where(member => !(Defaults.TryGetPropertyValue(member.Key, out var value) && JsonNode.DeepEquals(member.Value, value)))
            .OrderBy(member => member.Key, StringComparer.Ordinal)
            .Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone()))).ToJsonString();

    private static string Of(Guid modelId, string dataSetVersionHash, string parameters) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{modelId:N}\n{dataSetVersionHash}\n{parameters}")));

    private static JsonObject CreateDefaults()
    {
        var values = ToObject(new ExperimentParameters { LearningRate = 0, Layers = 0, Steps = 0 });
        foreach (var definition in ParameterDefinition.All.Values.Where(definition => definition.IsRequired))
            values.Remove(definition.Name);
        return values;
    }

    private static JsonObject ToObject<T>(T parameters) where T : TrajectoryParameters =>
        JsonSerializer.SerializeToNode(parameters, ContractJson.Options)!.AsObject();
}
