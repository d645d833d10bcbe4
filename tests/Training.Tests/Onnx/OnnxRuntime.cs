using Microsoft.ML.OnnxRuntime;

namespace MlExperiments.Training.Tests.Onnx;

/// <summary>A model loaded by ONNX Runtime, which checks each node, type and shape first.</summary>
internal sealed class OnnxRuntime : IDisposable
{
    private readonly SessionOptions _options = new() { IntraOpNumThreads = 1 };
    private readonly InferenceSession _session;

    /// <exception cref="OnnxRuntimeException">The model is not valid ONNX, or its outputs have other shapes than it declares.</exception>
    public OnnxRuntime(string path)
    {
        // Without this, a declared shape that differs from the inferred one is only a warning.
        _options.AddSessionConfigEntry("session.strict_shape_type_inference", "1");
        _session = new(path, _options);
    }

    public ModelMetadata Metadata => _session.ModelMetadata;
    public IReadOnlyDictionary<string, NodeMetadata> Inputs => _session.InputMetadata;
    public IReadOnlyDictionary<string, NodeMetadata> Outputs => _session.OutputMetadata;

    /// <returns>Its sizes; the name of a size that is open, such as <c>n</c>.</returns>
    public static object[] ShapeOf(NodeMetadata node) => [.. node.Dimensions.Zip(node.SymbolicDimensions, (size, name) => name.Length > 0 ? (object)name : size)];

    /// <param name="images">float32 <c>[n, c, h, w]</c>.</param>
    /// <returns>The values of all outputs by their names, one image behind another.</returns>
    public Dictionary<string, float[]> Run(float[] images)
    {
        long[] size = [.. Inputs["images"].Dimensions.Skip(1)];
        using var input = OrtValue.CreateTensorValueFromMemory(images, [images.Length / size.Aggregate((product, side) => product * side), .. size]);
        using var run = new RunOptions();
        using var outputs = _session.Run(run, ["images"], [input], _session.OutputNames);
        return _session.OutputNames.Zip(outputs).ToDictionary(output => output.First, output => output.Second.GetTensorDataAsSpan<float>().ToArray());
    }

    public void Dispose()
    {
        _session.Dispose();
        _options.Dispose();
    }
}
