using System.Runtime.InteropServices;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Testing;

/// <summary>Files of published weights as a trainer writes them, for tests that don't train: a cnn of one layer and two filters.</summary>
public static class CnnWeights
{
    private const int Filters = 2;

    // Larger tensors stay zeros, which take no place on the disk.
    private const int MaxFilled = 1 << 20;

    /// <param name="architecture">What the file claims to be.</param>
    /// <param name="claimedFilters">How many it claims to have.</param>
    /// <returns>The bytes of a small file.</returns>
    public static byte[] Make(string architecture = "cnn", int claimedFilters = Filters)
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "weights.safetensors");
        Write(path, new() { LearningRate = 0.001, Layers = 1, Filters = claimedFilters, DenseUnits = 3, Architecture = architecture }, new(8, 9, 1));
        return File.ReadAllBytes(path);
    }

    /// <summary>Writes a file of any size: by the dense units and the shape.</summary>
    public static void Write(string path, TrajectoryParameters parameters, ImageShape shape)
    {
        string[] classes = ["cat", "dog"];
        var (units, inputs) = (parameters.DenseUnits, (long)Filters * (shape.Width / 2) * (shape.Height / 2));
        SafetensorsTensor[] tensors =
        [
            F32("conv1.weight", Filters, shape.Channels, 3, 3), F32("conv1.bias", Filters),
            F32("dense1.weight", units, inputs), F32("dense1.bias", units), F32("dense2.weight", classes.Length, units), F32("dense2.bias", classes.Length),
        ];
        var metadata = new Dictionary<string, string>
        {
            ["kind"] = "weights-1",
            ["parameters"] = JsonSerializer.Serialize(parameters, ContractJson.Options),
            ["shape"] = JsonSerializer.Serialize(shape, ContractJson.Options),
            ["classes"] = JsonSerializer.Serialize(classes),
        };
        using var writer = new SafetensorsWriter(path, tensors, metadata);
        var next = 0;
        foreach (var tensor in tensors.Where(tensor => tensor.Length <= MaxFilled))
        {
            var count = (int)tensor.Length / sizeof(float);
            writer.Write(tensor.Name, 0, MemoryMarshal.AsBytes<float>([.. Enumerable.Range(next, count).Select(value => value / 100f)]));
            next += count;
        }

        writer.Commit();
    }

    private static SafetensorsTensor F32(string name, params long[] shape) => new(name, SafetensorsType.F32, shape);
}
