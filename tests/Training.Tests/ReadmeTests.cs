using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Shared.Onnx;
using MlExperiments.Testing;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Onnx;
using MlExperiments.Training.Tests.PyTorch;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests;

/// <summary>The README's ways to use weights in PyTorch and in ONNX Runtime, as they stand there.</summary>
public sealed partial class ReadmeTests
{
    /// <summary>Where Python finds the stand-in for its package onnxruntime.</summary>
    private static readonly string Modules = Path.Combine(ServiceProcess.ProjectRoot, "tests", "Training.Tests", "Onnx");

    [TestCase(1)]
    [TestCase(4)]
    public void SnippetForPyTorch_OnTestImages_PredictsWhatWePredict(int layers)
    {
        Python.RequireTorch();
        using var digits = new DigitData();
        var weights = Train(digits, layers, steps: 60);
        Check(digits, weights, 30, images => Python.RunScript(Script(digits, about: "import torch"), [weights, .. images]));
    }

    [Test]
    public void SnippetForOnnxRuntime_OnTestImages_PredictsWhatWePredict()
    {
        Python.RequireTorch();
        using var digits = new DigitData();
        var weights = Train(digits, layers: 1, steps: 200);
        var model = Path.Combine(digits.Folder, "model.onnx");
        using (var onnx = OnnxModel.Open(weights, null))
        using (var file = File.Create(model))
            onnx.CopyTo(file);
        OnnxRuntime? runtime = null;
        try
        {
            Check(digits, weights, 30, images => Python.RunScript(Script(digits, about: "import onnxruntime"), [model, .. images], Modules, Answer));
        }
        finally
        {
            runtime?.Dispose();
        }

        object Answer(JsonElement question)
        {
            if (!question.TryGetProperty("model", out var path)) return runtime!.Run(question.GetProperty("images").Deserialize<float[]>()!);
            runtime = new(path.GetString()!);
            return new { metadata = runtime.Metadata.CustomMetadataMap, shape = OnnxRuntime.ShapeOf(runtime.Inputs["images"]) };
        }
    }

    private static string Train(DigitData digits, int layers, int steps) =>
        Runs.Train(DigitData.Small with { Layers = layers }, digits.Pack(), digits.NewFolder(), [steps]).Of<MilestoneEvent>().Single().Weights;

    /// <param name="about">What only the wanted snippet has.</param>
    private static string Script(DigitData digits, string about)
    {
        var script = Path.Combine(digits.Folder, "predict.py");
        var snippets = Snippets().Matches(File.ReadAllText(Path.Combine(ServiceProcess.ProjectRoot, "README.md"))).Select(match => match.Groups[1].Value);
        File.WriteAllText(script, snippets.Single(snippet => snippet.Contains(about, StringComparison.Ordinal)));
        return script;
    }

    private static void Check(DigitData digits, string weights, int count, Func<IEnumerable<string>, string> predict)
    {
        var images = Enumerable.Range(0, count).Select(i => (Path: Path.Combine(digits.Folder, $"{i}.png"), Pixels: DigitPainter.Paint(i % 10, 9000 + i))).ToList();
        for (var i = 0; i < images.Count; i++) File.WriteAllBytes(images[i].Path, DigitPainter.PaintPng(i % 10, 9000 + i));

        var printed = predict(images.Select(image => image.Path)).TrimEnd().Split('\n').Select(line => line.Split(' ')).ToList();

        var (network, info) = WeightsFile.Read(weights);
        using (network)
        {
            var ours = Evaluation.Predict(network, [.. images.Select(image => image.Pixels)]);
            Assert.That(printed.Select(line => line[1]).Distinct().Count(), Is.GreaterThan(1), "not all the same");
            Assert.That(printed.Select(line => line[1]), Is.EqualTo(ours.Select(row => info.Classes[Array.IndexOf(row, row.Max())])));
            Assert.That(printed.Select(line => double.Parse(line[2], CultureInfo.InvariantCulture)), Is.EqualTo(ours.Select(row => row.Max())).Within(2e-4));
        }
    }

    [GeneratedRegex("```python\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Snippets();
}
