using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using MlExperiments.Testing;

namespace MlExperiments.Training.Tests.Onnx;

/// <summary>ONNX's own programs: ONNX Runtime, as WebAssembly in Node.js, and the checker in the distribution's python3-onnx.</summary>
internal static class OnnxRuntime
{
    /// <summary>Set by tests/run.sh where Node.js is not wanted; otherwise a runtime that is missing is a failure.</summary>
    private const string WithoutVariable = "MLEXPERIMENTS_WITHOUT_NODE";

    private const string Python = "/usr/bin/python3";

    private static readonly string Folder = Path.Combine(ServiceProcess.ProjectRoot, "tests", "Training.Tests", "Onnx");

    /// <param name="images">float32 <c>[n, c, h, w]</c>.</param>
    /// <returns>The values of all outputs by their names, one image behind another.</returns>
    public static Dictionary<string, float[]> Run(string model, float[] images)
    {
        Require();
        var values = Path.ChangeExtension(model, ".images");
        File.WriteAllBytes(values, MemoryMarshal.AsBytes(images.AsSpan()));
        return JsonSerializer.Deserialize<Dictionary<string, float[]>>(Print("node", Path.Combine(Folder, "run.mjs"), model, values))!;
    }

    /// <returns>What the file says of itself, once the checker has found nothing wrong.</returns>
    public static JsonElement Check(string model) => JsonDocument.Parse(Print(Python, Path.Combine(Folder, "check.py"), model)).RootElement;

    /// <summary>Runs a script that imports onnxruntime.</summary>
    /// <returns>What it printed.</returns>
    public static string RunPython(string script, params string[] arguments)
    {
        Require();
        return Print(Python, [script, .. arguments]);
    }

    private static void Require()
    {
        if (Environment.GetEnvironmentVariable(WithoutVariable) is "1") Assert.Ignore($"{WithoutVariable} is set: this needs Node.js.");
        if (!Directory.Exists(Path.Combine(Folder, "node_modules", "onnxruntime-web")))
            Assert.Fail($"onnxruntime-web is missing: run tests/run.sh, or npm ci in {Folder}; {WithoutVariable}=1 leaves out what needs Node.js.");
    }

    private static string Print(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHONPATH"] = Folder;
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{errors.GetAwaiter().GetResult()}\nIn Python, this takes Debian's python3-onnx and python3-pil.");
        return output;
    }
}
