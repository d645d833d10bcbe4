using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Checkpoints;

/// <summary>
/// Checkpoint files: safetensors with the flat parameters, the optimizer's flat tensors and a <see cref="CheckpointState"/>, under
/// a checksum. They appear whole or not at all.
/// </summary>
internal static class Checkpoint
{
    private const string Kind = "checkpoint-1";
    private const string StateKey = "state";
    private const string StateChecksumKey = "stateSha256";

    /// <param name="tensors">Flat float32, by name.</param>
    /// <returns>The checksum over the tensors.</returns>
    public static string Write(string path, CheckpointState state, IReadOnlyList<(string Name, Tensor Values)> tensors)
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        var json = JsonSerializer.Serialize(state, ContractJson.Options);
        using var file = new SafetensorsWriter(
            path,
            tensors.Select(tensor => new SafetensorsTensor(tensor.Name, SafetensorsType.F32, [tensor.Values.NumberOfElements])),
            new Dictionary<string, string> { ["kind"] = Kind, [StateKey] = json, [StateChecksumKey] = Hash(json) },
            checksum: true);
        foreach (var (name, values) in tensors) file.Write(name, 0, Engine.ToHost(values.detach()).bytes);
        return file.Commit()!;
    }

    /// <summary>Fills the tensors, once the file is found to be whole.</summary>
    /// <param name="fits">Looks at the state before the tensors are read; throws where it doesn't fit.</param>
    /// <exception cref="InvalidDataException">The file is torn, altered, no checkpoint, or of another network.</exception>
    public static CheckpointState Read(string path, IReadOnlyList<(string Name, Tensor Values)> tensors, Action<CheckpointState> fits)
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        using var file = SafetensorsReader.Open(path);
        if (!file.Metadata.TryGetValue("kind", out var kind) || kind != Kind) throw new InvalidDataException($"{path}: This is no checkpoint.");
        file.VerifyChecksum();
        var json = file.RequiredMetadata(StateKey);
        if (file.RequiredMetadata(StateChecksumKey) != Hash(json)) throw new InvalidDataException($"{path}: The state was altered.");
        var state = ReadState(path, json);
        fits(state);
        foreach (var (name, values) in tensors)
        {
            var stored = file.Tensor(name, SafetensorsType.F32, 1);
            if (stored.Shape[0] != values.NumberOfElements)
                throw new InvalidDataException($"{path}: '{name}' has {stored.Shape[0]} elements, the network {values.NumberOfElements}.");
            var source = empty([stored.Shape[0]], ScalarType.Float32);
            file.Read(stored, 0, source.bytes);
            values.copy_(Engine.ToDevice(source));
        }

        return state;
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static CheckpointState ReadState(string path, string json)
    {
        try
        {
            if (JsonSerializer.Deserialize<CheckpointState>(json, ContractJson.Options) is { Step: >= 0 } state) return state;
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path}: The state can't be read: {error.Message}", error);
        }

        throw new InvalidDataException($"{path}: The state has no step.");
    }
}
