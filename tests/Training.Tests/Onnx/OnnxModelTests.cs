using System.Runtime.InteropServices;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Shared.Onnx;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.Onnx;

/// <summary>Exported networks in ONNX Runtime: they are valid, and predict what the network itself predicts.</summary>
public sealed class OnnxModelTests
{
    private const int Images = 30;

    private DigitData _digits = null!;

    [SetUp]
    public void CreateFolder() => _digits = new();

    [TearDown]
    public void RemoveFolder() => _digits.Dispose();

    [TestCase(1, 3, 16, 28, 28, 1)]
    [TestCase(2, 5, 4, 28, 28, 1)]
    [TestCase(4, 3, 5, 28, 28, 1)]
    [TestCase(1, 5, 4, 31, 25, 3)]
    [TestCase(2, 3, 32, 9, 14, 3)]
    [TestCase(4, 5, 4, 45, 33, 3)]
    [TestCase(8, 1, 4, 8, 11, 1)]
    public void Exported_InOnnxRuntime_PredictsWhatTheNetworkPredicts(int layers, int kernel, int filters, int width, int height, int channels)
    {
        var shape = new ImageShape(width, height, channels);
        var weights = Train(DigitData.Small with { Layers = layers, KernelSize = kernel, Filters = filters }, shape, steps: 80);
        var model = Export(weights, experimentId: null);
        var painted = Enumerable.Range(0, Images).Select(i => Paint(i % 10, 9000 + i, shape)).ToList();
        byte[] pixels = [.. painted.SelectMany(image => image)];

        using var scope = NewDisposeScope();
        using var network = WeightsFile.Read(weights).Network;
        var images = empty([Images, height, width, channels], ScalarType.Byte);
        pixels.CopyTo(images.bytes);
        var logits = MemoryMarshal.Cast<byte, float>(network.Forward(images).detach().bytes).ToArray();
        double[] probabilities = [.. Evaluation.Predict(network, painted).SelectMany(row => row)];

        using var runtime = new OnnxRuntime(model);
        foreach (var batch in new[] { 1, Images })
        {
            var outputs = runtime.Run(ChannelsFirst(pixels, shape)[..(batch * shape.Size)]);
            Assert.That(outputs.Keys, Is.EqualTo(new[] { "logits", "probabilities" }));
            Assert.That(outputs["logits"], Is.EqualTo(logits[..(batch * 10)]).Within(1e-4));
            Assert.That(outputs["probabilities"], Is.EqualTo(probabilities[..(batch * 10)]).Within(1e-4));
        }

        Assert.That(logits.Max() - logits.Min(), Is.GreaterThan(0.1f), "not all the same");
    }

    [TestCase(1, 1)]
    [TestCase(2, 3)]
    public void Exported_LoadedByOnnxRuntime_IsValidAndDescribesItself(int layers, int channels)
    {
        var shape = new ImageShape(25, 9, channels);
        var parameters = DigitData.Small with { Layers = layers };
        var experiment = Guid.NewGuid();
        var path = Export(Train(parameters, shape, steps: 2), experiment);

        var file = OnnxFile.Read(path);
        Assert.That((file.IrVersion, file.Opset), Is.EqualTo((7, 13)));
        string[] blocks = [.. Enumerable.Range(1, layers).SelectMany(layer => new[] { $"conv{layer}", $"pool{layer}", $"relu{layer}" })];
        Assert.That(file.Nodes, Is.EqualTo(blocks.Concat(["flatten", "dense1", "relu", "logits", "probabilities"])));

        using var runtime = new OnnxRuntime(path);
        Assert.That((runtime.Metadata.ProducerName, runtime.Metadata.GraphName), Is.EqualTo(("ML Experiments", "cnn")));
        Assert.That(runtime.Inputs.Keys, Is.EqualTo(new[] { "images" }));
        Assert.That(runtime.Outputs.Keys, Is.EqualTo(new[] { "logits", "probabilities" }));
        Assert.That(OnnxRuntime.ShapeOf(runtime.Inputs["images"]), Is.EqualTo(new object[] { "n", channels, 9, 25 }));
        foreach (var output in runtime.Outputs.Values) Assert.That(OnnxRuntime.ShapeOf(output), Is.EqualTo(new object[] { "n", 10 }));
        foreach (var node in runtime.Inputs.Values.Concat(runtime.Outputs.Values)) Assert.That(node.ElementType, Is.EqualTo(typeof(float)));

        var metadata = runtime.Metadata.CustomMetadataMap;
        Assert.That(JsonSerializer.Deserialize<string[]>(metadata["classes"]), Is.EqualTo(DigitData.Classes));
        Assert.That(JsonSerializer.Deserialize<ImageShape>(metadata["shape"], ContractJson.Options), Is.EqualTo(shape));
        Assert.That(JsonSerializer.Deserialize<TrajectoryParameters>(metadata["parameters"], ContractJson.Options), Is.EqualTo(parameters));
        Assert.That(metadata["experimentId"], Is.EqualTo($"{experiment}"));
        Assert.That(metadata["step"], Is.EqualTo("2"));
        Assert.That(metadata["weightsHash"], Does.Match("^[0-9a-f]{64}$"));
        Assert.That(metadata["Image.BitmapPixelFormat"], Is.EqualTo(channels == 1 ? "Gray8" : "Rgb8"));
    }

    private string Train(TrajectoryParameters parameters, ImageShape shape, int steps)
    {
        var path = Path.Combine(_digits.Folder, "data.safetensors");
        const int Train = 200, Validation = 40;
        using (var writer = new PackedDataSetWriter(path, new(shape, DigitData.Classes, Train, Validation, 0, "digits")))
        {
            for (var row = 0; row < Train + Validation; row++) writer.Write(row, Paint(row % 10, row, shape), row % 10);
            writer.Commit();
        }

        return Runs.Train(parameters, path, _digits.NewFolder(), [steps]).Of<MilestoneEvent>().Single().Weights;
    }

    private string Export(string weights, Guid? experimentId)
    {
        var path = Path.Combine(_digits.Folder, "model.onnx");
        using var onnx = OnnxModel.Open(weights, experimentId);
        using var file = File.Create(path);
        onnx.CopyTo(file);
        return path;
    }

    // In colour, each channel has another digit: mixed up, they give something else.
    private static byte[] Paint(int digit, int variant, ImageShape shape)
    {
        var painted = new ImageShape(DigitPainter.Side, DigitPainter.Side, shape.Channels);
        var layers = Enumerable.Range(0, shape.Channels).Select(channel => DigitPainter.Paint((digit + (3 * channel)) % 10, variant)).ToList();
        var png = PngWriter.Encode([.. Enumerable.Range(0, painted.Size).Select(i => layers[i % shape.Channels][i / shape.Channels])], painted);
        var pixels = new byte[shape.Size];
        Assert.That(ImageDecoder.TryDecode(png, shape, pixels, out var reason), reason);
        return pixels;
    }

    /// <summary>As the documentation has users do it: uint8 <c>[n, h, w, c]</c> to <c>[n, c, h, w]</c>, divided by 255.</summary>
    private static float[] ChannelsFirst(byte[] pixels, ImageShape shape)
    {
        var values = new float[pixels.Length];
        var area = shape.Width * shape.Height;
        for (var i = 0; i < values.Length; i++)
        {
            var (image, channel, place) = (i / shape.Size, i / area % shape.Channels, i % area);
            values[i] = pixels[(image * shape.Size) + (place * shape.Channels) + channel] / 255f;
        }

        return values;
    }
}
