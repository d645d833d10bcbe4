using System.Globalization;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Loop;
using static TorchSharp.torch;

namespace MlExperiments.Training.Models;

/// <summary>What a weights file says about itself.</summary>
/// <param name="Step">The step at which they were measured.</param>
/// <param name="Accuracy">On the validation split, 0 to 1.</param>
/// <param name="EndedAtStep">The last step that was trained, where that is before this one; else null.</param>
internal sealed record WeightsInfo(
    TrajectoryParameters Parameters, ImageShape Shape, IReadOnlyList<string> Classes, string DataSetHash, int Step, double Accuracy, int? EndedAtStep = null);

/// <summary>
/// The published weights: safetensors in PyTorch's layout and under its names, so that
/// <c>module.load_state_dict(safetensors.torch.load_file(path))</c> takes them: for a <c>cnn</c> an <c>nn.Sequential</c> of
/// <c>conv1, ..., flatten, dense1, ..., dense2</c>, for the residual networks torchvision's (see <see cref="ResNet"/> for small images).
/// </summary>
internal static class WeightsFile
{
    private const string Kind = "weights-1";

    /// <summary>Writes the network's weights.</summary>
    /// <returns>SHA-256 over the weights' bytes, lower-case hex.</returns>
    public static string Write(string path, Network network, WeightsInfo info)
    {
        using var file = new SafetensorsWriter(
            path,
            network.Parts.Concat(network.BufferParts).Select(part => new SafetensorsTensor(part.Name, SafetensorsType.F32, part.Published)),
            new Dictionary<string, string>(info.EndedAtStep is { } ended ? [new("endedAtStep", ended.ToString(CultureInfo.InvariantCulture))] : [])
            {
                ["format"] = "pt", // what readers of PyTorch's weights look for
                ["kind"] = Kind,
                ["parameters"] = JsonSerializer.Serialize(info.Parameters, ContractJson.Options),
                ["shape"] = JsonSerializer.Serialize(info.Shape, ContractJson.Options),
                ["classes"] = JsonSerializer.Serialize(info.Classes),
                ["dataSetHash"] = info.DataSetHash,
                ["step"] = info.Step.ToString(CultureInfo.InvariantCulture),
                ["accuracy"] = info.Accuracy.ToString("R", CultureInfo.InvariantCulture),
            },
            checksum: true);

        using var withoutGradient = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (part, values) in Stored(network))
        {
            var published = part.ToPublished is { } order ? values.permute(order) : values;
            file.Write(part.Name, 0, Engine.ToHost(published.contiguous()).bytes);
        }

        return file.Commit()!;
    }

    /// <summary>What the file says, without its weights.</summary>
    /// <exception cref="InvalidDataException">No weights file of this product, or a torn one.</exception>
    public static WeightsInfo ReadInfo(string path)
    {
        using var file = SafetensorsReader.Open(path);
        return ReadInfo(path, file);
    }

    /// <summary>The network with the file's weights; the caller disposes of it.</summary>
    /// <exception cref="InvalidDataException">No weights file of this product, or a torn or altered one.</exception>
    public static (Network Network, WeightsInfo Info) Read(string path)
    {
        using var file = SafetensorsReader.Open(path);
        var info = ReadInfo(path, file);
        // Before anything is allocated: the network is as large as the file, whatever its metadata says.
        ThrowIfUnfit(path, file, Network.LayoutOf(info.Parameters, info.Shape, info.Classes.Count).All);
        file.VerifyChecksum();
        var network = Network.Create(info.Parameters, info.Shape, info.Classes.Count);
        try
        {
            Fill(file, network);
            return (network, info);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private static void ThrowIfUnfit(string path, SafetensorsReader file, IEnumerable<NetworkPart> parts)
    {
        foreach (var part in parts)
        {
            if (!file.Tensor(part.Name, SafetensorsType.F32, part.Published.Length).Shape.SequenceEqual(part.Published))
                throw new InvalidDataException($"{path}: The tensor '{part.Name}' doesn't fit the network that the file describes.");
        }
    }

    private static IEnumerable<(NetworkPart Part, Tensor Values)> Stored(Network network) =>
        network.Parts.Zip(network.CutParts()).Concat(network.BufferParts.Zip(network.CutBuffers()));

    private static void Fill(SafetensorsReader file, Network network)
    {
        using var withoutGradient = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (part, values) in Stored(network))
        {
            var stored = file.Tensor(part.Name, SafetensorsType.F32, part.Published.Length);
            // The published dimensions are training's, reordered: a tensor of that order is filled, and read through a view.
            var target = part.ToPublished is { } order ? values.permute(order) : values;
            var source = empty(target.shape, ScalarType.Float32);
            file.Read(stored, 0, source.bytes);
            target.copy_(Engine.ToDevice(source));
        }
    }

    private static WeightsInfo ReadInfo(string path, SafetensorsReader file)
    {
        if (file.RequiredMetadata("kind") != Kind) throw new InvalidDataException($"{path}: This is no weights file that can be used here.");
        try
        {
            var parameters = JsonSerializer.Deserialize<TrajectoryParameters>(file.RequiredMetadata("parameters"), ContractJson.Options);
            var classes = JsonSerializer.Deserialize<string[]>(file.RequiredMetadata("classes"));
            if (parameters is null || classes is not { Length: > 0 } || classes.Contains(null)) throw new InvalidDataException($"{path}: The metadata lacks the parameters or the classes.");
            TrainCommandCheck.ThrowIfInvalid(parameters);
            var shape = JsonSerializer.Deserialize<ImageShape>(file.RequiredMetadata("shape"), ContractJson.Options);
            if (!shape.IsValid) throw new InvalidDataException($"{path}: Images of {shape.Width} x {shape.Height} x {shape.Channels} can't be classified.");
            return new(
                parameters,
                shape,
                classes,
                file.RequiredMetadata("dataSetHash"),
                int.Parse(file.RequiredMetadata("step"), CultureInfo.InvariantCulture),
                double.Parse(file.RequiredMetadata("accuracy"), CultureInfo.InvariantCulture),
                file.Metadata.TryGetValue("endedAtStep", out var ended) ? int.Parse(ended, CultureInfo.InvariantCulture) : null);
        }
        catch (Exception error) when (error is JsonException or FormatException or OverflowException)
        {
            throw new InvalidDataException($"{path}: The metadata can't be read: {error.Message}", error);
        }
    }
}
