using MlExperiments.Shared.Onnx;

namespace MlExperiments.Training.Cli;

/// <summary>The network with its weights as an ONNX file beside them.</summary>
internal static class OnnxOutput
{
    /// <summary>Where it lies.</summary>
    public static string PathOf(string weights) => Path.ChangeExtension(weights, "onnx");

    /// <summary>Writes it, whole or not at all.</summary>
    /// <returns>Its path.</returns>
    public static string Save(string weights)
    {
        var (path, unfinished) = (PathOf(weights), $"{PathOf(weights)}.tmp");
        try
        {
            using (var onnx = OnnxModel.Open(weights, experimentId: null))
            using (var file = File.Create(unfinished))
            {
                onnx.CopyTo(file);
                file.Flush(flushToDisk: true);
            }

            File.Move(unfinished, path, overwrite: true);
            return path;
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
    }
}
