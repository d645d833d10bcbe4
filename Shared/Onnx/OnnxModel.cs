using System.Reflection;
using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using static MlExperiments.Shared.Onnx.OnnxGraph;

namespace MlExperiments.Shared.Onnx;

/// <summary>
/// Published weights of a <c>cnn</c> as an ONNX file: float32 <c>images</c> <c>[n, c, h, w]</c>, pixels divided by 255, give <c>logits</c> and
/// <c>probabilities</c> <c>[n, classes]</c>. Weights have the same bytes in both formats.
/// </summary>
public static class OnnxModel
{
    /// <summary>The one architecture that has a graph here.</summary>
    public const string Architecture = "cnn";

    private const int IrVersion = 7;
    private const int Opset = 13;
    private const int SmallestPooledSide = 4;

    /// <summary>Opens the ONNX file that the weights make.</summary>
    /// <param name="path">The safetensors file; it may go once this has returned.</param>
    /// <param name="experimentId">Named in the metadata, where there is one.</param>
    /// <exception cref="InvalidDataException">No weights file of a <c>cnn</c>, or a torn one; the message says why.</exception>
    public static OnnxStream Open(string path, Guid? experimentId)
    {
        var weights = SafetensorsReader.Open(path);
        try
        {
            return new(Model(weights, experimentId), weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ProtobufMessage Model(SafetensorsReader weights, Guid? experimentId)
    {
        var (parameters, shape, classes) = Describe(weights);
        if (parameters.Architecture != Architecture)
            throw new InvalidDataException($"Only weights of the architecture {Architecture} can be had as ONNX, and these are of {parameters.Architecture}.");
        var model = new ProtobufMessage()
            .Add(ModelFields.IrVersion, IrVersion)
            .Add(ModelFields.ProducerName, "ML Experiments")
            .Add(ModelFields.ProducerVersion, typeof(OnnxModel).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0])
            .Add(ModelFields.Graph, Graph(weights, parameters, shape, classes))
            .Add(ModelFields.OpsetImport, new ProtobufMessage().Add(OperatorSetIdFields.Domain, "").Add(OperatorSetIdFields.Version, Opset));
        foreach (var (key, value) in Metadata(weights, shape, experimentId))
            model.Add(ModelFields.MetadataProps, new ProtobufMessage().Add(StringStringEntryFields.Key, key).Add(StringStringEntryFields.Value, value));
        // What readers of protobuf can take at all; networks stop well below it.
        if (model.Length > int.MaxValue)
            throw new InvalidDataException($"ONNX files end at 2 GiB, and this would have {model.Length} bytes.");
        return model;
    }

    // Convolutions keep the size; pooling halves it while the shorter side is above 3, and comes before ReLU as in training.
    private static ProtobufMessage Graph(SafetensorsReader weights, TrajectoryParameters parameters, ImageShape shape, int classes)
    {
        const string Images = "images";
        var graph = new OnnxGraph(weights, Images);
        long height = shape.Height, width = shape.Width, channels = shape.Channels, kernel = parameters.KernelSize;
        for (var layer = 1; layer <= parameters.Layers; layer++)
        {
            var filters = layer == 1 ? parameters.Filters : 2L * parameters.Filters;
            graph.Then(
                "Conv",
                $"conv{layer}",
                [graph.AddInitializer($"conv{layer}.weight", filters, channels, kernel, kernel), graph.AddInitializer($"conv{layer}.bias", filters)],
                Attribute("kernel_shape", kernel, kernel),
                Attribute("pads", kernel / 2, kernel / 2, kernel / 2, kernel / 2));
            channels = filters;
            if (Math.Min(height, width) >= SmallestPooledSide)
            {
                graph.Then("MaxPool", $"pool{layer}", [], Attribute("kernel_shape", 2, 2), Attribute("strides", 2, 2));
                (height, width) = (height / 2, width / 2);
            }

            graph.Then("Relu", $"relu{layer}", []);
        }

        graph.Then("Flatten", "flatten", []);
        Dense("dense1", "dense1", channels * height * width, parameters.DenseUnits);
        graph.Then("Relu", "relu", []);
        Dense("dense2", "logits", parameters.DenseUnits, classes);
        graph.Then("Softmax", "probabilities", [], Attribute("axis", 1));
        return graph.ToMessage(
            "cnn",
            Batch(Images, "[n, c, h, w]: pixels from 0 to 255, divided by 255", "IMAGE", shape.Channels, shape.Height, shape.Width),
            Batch("logits", "[n, classes]", null, classes),
            Batch("probabilities", "[n, classes]: the softmax of the logits", null, classes));

        void Dense(string name, string output, long inputs, long units) =>
            graph.Then("Gemm", output, [graph.AddInitializer($"{name}.weight", units, inputs), graph.AddInitializer($"{name}.bias", units)], Attribute("transB", 1));
    }

    // What the weights say of themselves, under the same names, and what ONNX has words for.
    private static IEnumerable<(string Key, string Value)> Metadata(SafetensorsReader weights, ImageShape shape, Guid? experimentId)
    {
        foreach (var key in new[] { "classes", "shape", "parameters", "dataSetHash", "step", "endedAtStep", "accuracy" })
        {
            if (weights.Metadata.TryGetValue(key, out var value)) yield return (key, value);
        }

        if (weights.Metadata.TryGetValue(Safetensors.ChecksumKey, out var hash)) yield return ("weightsHash", hash);
        if (experimentId is { } id) yield return ("experimentId", $"{id}");
        yield return ("Image.BitmapPixelFormat", shape.Channels == 1 ? "Gray8" : "Rgb8");
        yield return ("Image.NominalPixelRange", "Normalized_0_1");
    }

    private static (TrajectoryParameters Parameters, ImageShape Shape, int Classes) Describe(SafetensorsReader weights)
    {
        try
        {
            return (
                JsonSerializer.Deserialize<TrajectoryParameters>(weights.RequiredMetadata("parameters"), ContractJson.Options)
                    ?? throw new InvalidDataException("The metadata lacks the parameters."),
                JsonSerializer.Deserialize<ImageShape>(weights.RequiredMetadata("shape"), ContractJson.Options),
                JsonSerializer.Deserialize<string[]>(weights.RequiredMetadata("classes"))?.Length ?? 0);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException("The metadata's parameters, shape or classes can't be read.", error);
        }
    }
}
