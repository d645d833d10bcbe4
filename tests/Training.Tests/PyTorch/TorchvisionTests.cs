using System.Globalization;
using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.PyTorch;

/// <summary>The residual networks against torchvision's with the same weights: every stage, the gradients, and the running means and variances.</summary>
public sealed class TorchvisionTests
{
    private const int Images = 3;
    private const int Classes = 7;

    private TemporaryFolder _files = null!;

    [SetUp]
    public void CreateFolder()
    {
        Python.RequireTorch();
        _files = new();
    }

    [TearDown]
    public void RemoveFolder() => _files?.Dispose();

    [TestCase("resnet18", 32, 32, 3)]
    [TestCase("resnet18", 64, 72, 1)]
    [TestCase("resnet34", 28, 28, 1)]
    [TestCase("resnet34", 80, 64, 3)]
    [TestCase("resnet50", 33, 90, 3)]
    [TestCase("resnet50", 96, 96, 3)]
    public void ResNet_WithTheSameWeights_IsTorchvisionsLayerByLayer(string architecture, int width, int height, int channels)
    {
        var shape = new ImageShape(width, height, channels);
        var parameters = new TrajectoryParameters { LearningRate = 0.01, Layers = 1, Architecture = architecture, Seed = 3 };
        using var scope = NewDisposeScope();
        using var network = new ResNet(parameters, shape, Classes);
        Stir(network);
        var weights = Path.Combine(_files.Path, "weights.safetensors");
        WeightsFile.Write(weights, network, new(parameters, shape, [.. Enumerable.Range(0, Classes).Select(i => $"{i}")], "hash", 1, 0.5));

        var images = empty([Images, height, width, channels], ScalarType.Byte);
        new Random(5).NextBytes(images.bytes);
        var labels = empty([Images], ScalarType.Int64);
        MemoryMarshal.AsBytes<long>([1, 6, 4]).CopyTo(labels.bytes);
        var measured = new List<(string Name, SafetensorsType Type, Tensor Values)> { ("images", SafetensorsType.U8, images), ("labels", SafetensorsType.I64, labels) };
        foreach (var mode in new[] { "eval", "train" })
        {
            var stages = network.Stages(images, mode == "train").ToList();
            measured.AddRange(stages.Select((stage, i) => ($"{mode}.{i}", SafetensorsType.F32, stage)));
            if (mode == "eval") continue;
            var gradient = autograd.grad([functional.cross_entropy(stages[^1], labels)], [network.Flat])[0];
            measured.AddRange(Published("gradient", network.Parts, gradient));
            measured.AddRange(Published("after", network.BufferParts, network.Buffers!));
        }

        var path = Path.Combine(_files.Path, "case.safetensors");
        Write(path, measured);
        var lines = Python.RunScript(Path.Combine(TestContext.CurrentContext.TestDirectory, "PyTorch", "resnet.py"), weights, path).TrimEnd().Split('\n');

        Assert.That(lines, Has.Length.EqualTo(12 + network.Parts.Count + network.BufferParts.Count));
        using (Assert.EnterMultipleScope())
        {
            foreach (var line in lines.Select(line => line.Split(' ')))
            {
                var (difference, largest) = (double.Parse(line[1], CultureInfo.InvariantCulture), double.Parse(line[2], CultureInfo.InvariantCulture));
                // Sums of other kernels round differently; a gradient has gone through them twice.
                Assert.That(difference, Is.LessThan((line[0].StartsWith("gradient", StringComparison.Ordinal) ? 1e-3 : 1e-4) * Math.Max(largest, 1e-3)), line[0]);
            }
        }
    }

    // What a fresh network has (means of 0, variances of 1) would hide mistakes. The biases keep the inputs of every ReLU away from 0, where
    // its gradient jumps and rounding would decide it: within a block every second channel is off, at its end all are on.
    private static void Stir(Network network)
    {
        using var generator = manual_seed(9);
        using var withoutGradient = no_grad();
        var blockEnd = network.Parts.Any(part => part.Name.EndsWith(".bn3.bias", StringComparison.Ordinal)) ? ".bn3.bias" : ".bn2.bias";
        foreach (var (part, values) in network.Parts.Zip(network.CutParts()).Where(part => part.First.Shape.Length == 1))
        {
            values.uniform_(part.Start == Start.Ones ? 0.2 : 2, part.Start == Start.Ones ? 0.4 : 3);
            if (part.Start == Start.Zeros && !part.Name.EndsWith(blockEnd, StringComparison.Ordinal) && !part.Name.Contains("downsample", StringComparison.Ordinal))
                values.mul_(tensor(Enumerable.Range(0, (int)part.Size).Select(channel => channel % 2 == 0 ? 1f : -1f).ToArray()));
        }

        foreach (var (part, values) in network.BufferParts.Zip(network.CutBuffers()))
            values.uniform_(part.Start == Start.Ones ? 0.5 : -0.2, part.Start == Start.Ones ? 1.5 : 0.2);
    }

    private static IEnumerable<(string Name, SafetensorsType Type, Tensor Values)> Published(string prefix, IReadOnlyList<NetworkPart> parts, Tensor flat)
    {
        var pieces = flat.split([.. parts.Select(part => part.Size)], 0);
        return parts.Select((part, i) =>
        {
            var values = pieces[i].view(part.Shape);
            return ($"{prefix}.{part.Name}", SafetensorsType.F32, part.ToPublished is { } order ? values.permute(order) : values);
        });
    }

    private static void Write(string path, IReadOnlyList<(string Name, SafetensorsType Type, Tensor Values)> tensors)
    {
        using var file = new SafetensorsWriter(path, tensors.Select(tensor => new SafetensorsTensor(tensor.Name, tensor.Type, tensor.Values.shape)), new Dictionary<string, string>());
        foreach (var (name, _, values) in tensors) file.Write(name, 0, values.detach().contiguous().bytes);
        file.Commit();
    }
}
