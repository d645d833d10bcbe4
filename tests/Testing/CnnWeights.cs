using System.Runtime.InteropServices;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Testing;

/// <summary>A file of published weights as a trainer writes them, for tests that don't train: a cnn of one layer, its values a count.</summary>
public static class CnnWeights
{
    public static readonly ImageShape Shape = new(8, 9, 1);

    public static readonly IReadOnlyList<string> Classes = ["cat", "dog"];

    /// <param name="architecture">What the file claims to be.</param>
    /// <param name="claimedFilters">How many it claims to have: there are 2.</param>
    /// <returns>The file's bytes.</returns>
    public static byte[] Make(string architecture = "cnn", int claimedFilters = 2)
    {
        var parameters = new TrajectoryParameters { LearningRate = 0.001, Layers = 1, Filters = claimedFilters, DenseUnits = 3, Architecture = architecture };
        SafetensorsTensor[] tensors =
        [
            F32("conv1.weight", 2, 1, 3, 3), F32("conv1.bias", 2), F32("dense1.weight", 3, 2 * 4 * 4), F32("dense1.bias", 3), F32("dense2.weight", 2, 3), F32("dense2.bias", 2),
        ];
        var metadata = new Dictionary<string, string>
        {
            ["kind"] = "weights-1",
            ["parameters"] = JsonSerializer.Serialize(parameters, ContractJson.Options),
            ["shape"] = JsonSerializer.Serialize(Shape, ContractJson.Options),
            ["classes"] = JsonSerializer.Serialize(Classes),
            ["step"] = "1000",
        };
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "weights.safetensors");
        using (var writer = new SafetensorsWriter(path, tensors, metadata, checksum: true))
        {
            var next = 0;
            foreach (var tensor in tensors)
            {
                var count = (int)tensor.Length / sizeof(float);
                writer.Write(tensor.Name, 0, MemoryMarshal.AsBytes<float>([.. Enumerable.Range(next, count).Select(value => value / 100f)]));
                next += count;
            }

            writer.Commit();
        }

        return File.ReadAllBytes(path);

        static SafetensorsTensor F32(string name, params long[] shape) => new(name, SafetensorsType.F32, shape);
    }
}
