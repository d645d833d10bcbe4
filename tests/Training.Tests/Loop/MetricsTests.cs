using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Loop;
using MlExperiments.Training.Models;
using MlExperiments.Training.Tests.Models;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

/// <summary>What is reported, against the plain network's logits and the definitions of the metrics.</summary>
public sealed class MetricsTests
{
    private const double Tolerance = 1e-4;

    private static readonly TrajectoryParameters Parameters = DigitData.Small with { Dropout = 0, LearningRate = 0.01 };

    private DigitData _digits = null!;

    [SetUp]
    public void CreateData() => _digits = new();

    [TearDown]
    public void RemoveData() => _digits.Dispose();

    [Test]
    public void Measurement_OfATrainedNetwork_IsThatOfThePlainOne()
    {
        // 300 images of 28 x 28 are measured in two batches.
        var dataSet = _digits.Pack(train: 100, validation: 300, test: 40);
        var milestone = Runs.Train(Parameters, dataSet, _digits.NewFolder(), [40]).Of<MilestoneEvent>().Single();
        var expected = Plain(milestone.Weights, Enumerable.Range(100, 300));
        Assert.That(expected.Accuracy, Is.InRange(0.2, 0.98), "a network that is sometimes right shows the most");
        Check((milestone.Accuracy, milestone.Loss, milestone.MeanSquaredError), expected);
        Assert.That(milestone.TestAccuracy, Is.EqualTo(Plain(milestone.Weights, Enumerable.Range(400, 40)).Accuracy));

        using var data = PackedDataSet.Open(dataSet);
        var (network, _) = WeightsFile.Read(milestone.Weights);
        using (network)
        {
            var rows = new[] { 7, 3, 430, 5, 6, 8 };
            var measured = Evaluation.Measure(network, data, rows, () => false)!.Value;
            Check((measured.Accuracy, measured.Loss, measured.MeanSquaredError), Plain(milestone.Weights, rows));
        }
    }

    [Test]
    public void Points_OneAfterAnother_CoverTheStepsSinceTheLast()
    {
        // 24 images in batches of 16: two steps, of 16 and 8 images, to an epoch and to a point.
        var dataSet = _digits.Pack(train: 24, validation: 50, test: 0);
        var run = Runs.Train(Parameters, dataSet, _digits.NewFolder(), [1, 2, 3, 4], evaluateEvery: 2);
        using var data = PackedDataSet.Open(dataSet);
        var weights = run.Of<MilestoneEvent>().Select(milestone => milestone.Weights).Prepend(FirstWeights()).ToList();
        var batches = new MlExperiments.Training.Data.Batches(data, Parameters);

        var points = run.Of<MetricsEvent>().ToList();
        Assert.That(points.Select(point => point.Step), Is.EqualTo(new[] { 2, 4 }));
        foreach (var point in points)
        {
            // Each step's batch is measured on the weights that the step begins with.
            var first = Plain(weights[point.Step - 2], batches.Rows(point.Step - 2).ToArray());
            var second = Plain(weights[point.Step - 1], batches.Rows(point.Step - 1).ToArray());
            var validation = Plain(weights[point.Step], Enumerable.Range(24, 50));
            using (Assert.EnterMultipleScope())
            {
                Assert.That(point.Values["loss"], Is.EqualTo(((16 * first.Loss) + (8 * second.Loss)) / 24).Within(Tolerance));
                Assert.That(point.Values["accuracy"], Is.EqualTo(((16 * first.Accuracy) + (8 * second.Accuracy)) / 24).Within(1e-12));
                Assert.That(point.Values["validationLoss"], Is.EqualTo(validation.Loss).Within(Tolerance));
                Assert.That(point.Values["validationAccuracy"], Is.EqualTo(validation.Accuracy));
            }
        }

        Assert.That(points[1].Values["loss"], Is.Not.EqualTo(points[0].Values["loss"]).Within(10 * Tolerance));
    }

    private static void Check((double Accuracy, double Loss, double MeanSquaredError) actual, (double Accuracy, double Loss, double MeanSquaredError) expected)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(actual.Accuracy, Is.EqualTo(expected.Accuracy));
            Assert.That(actual.Loss, Is.EqualTo(expected.Loss).Within(Tolerance));
            Assert.That(actual.MeanSquaredError, Is.EqualTo(expected.MeanSquaredError).Within(Tolerance / 10));
        }
    }

    private string FirstWeights()
    {
        using var network = new Cnn(Parameters, DigitPainter.Shape, DigitData.Classes.Length);
        var path = Path.Combine(_digits.Folder, "first.safetensors");
        WeightsFile.Write(path, network, new(Parameters, DigitPainter.Shape, DigitData.Classes, "hash", 0, 0));
        return path;
    }

    private static (double Accuracy, double Loss, double MeanSquaredError) Plain(string weights, IEnumerable<int> rows)
    {
        var images = rows.Select(row =>
        {
            var label = row % 10;
            var logits = PlainNetwork.Logits(weights, DigitPainter.Paint(label, row), DigitPainter.Shape, pools: [true, true]).Select(logit => (double)logit).ToList();
            var sum = logits.Sum(Math.Exp);
            return (
                Right: logits.IndexOf(logits.Max()) == label ? 1.0 : 0.0,
                Loss: -Math.Log(Math.Exp(logits[label]) / sum),
                Squares: logits.Select((logit, c) => Math.Pow((Math.Exp(logit) / sum) - (c == label ? 1 : 0), 2)).Average());
        }).ToList();
        return (images.Average(image => image.Right), images.Average(image => image.Loss), images.Average(image => image.Squares));
    }
}
