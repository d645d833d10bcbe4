using System.Globalization;
using System.Text.RegularExpressions;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.PyTorch;

/// <summary>The README's way to use weights in PyTorch, as it stands there.</summary>
public sealed partial class ReadmeTests
{
    [TestCase(1)]
    [TestCase(4)]
    public void Snippet_OnTestImages_PredictsWhatWePredict(int layers)
    {
        Python.RequireTorch();
        using var digits = new DigitData();
        var parameters = DigitData.Small with { Layers = layers };
        var weights = Runs.Train(parameters, digits.Pack(), digits.NewFolder(), [60]).Of<MilestoneEvent>().Single().Weights;
        var images = Enumerable.Range(0, 30).Select(i => (Path: Path.Combine(digits.Folder, $"{i}.png"), Pixels: DigitPainter.Paint(i % 10, 9000 + i))).ToList();
        for (var i = 0; i < images.Count; i++) File.WriteAllBytes(images[i].Path, DigitPainter.PaintPng(i % 10, 9000 + i));
        var script = Path.Combine(digits.Folder, "predict.py");
        File.WriteAllText(script, Snippet().Match(File.ReadAllText(Path.Combine(ServiceProcess.ProjectRoot, "README.md"))).Groups[1].Value);

        var printed = Python.RunScript(script, [weights, .. images.Select(image => image.Path)]).TrimEnd().Split('\n').Select(line => line.Split(' ')).ToList();

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
    private static partial Regex Snippet();
}
