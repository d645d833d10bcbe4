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
    public void Classes_OfATrainedNetwork_AreThoseOfThePlainOne()
    {
        var dataSet = _digits.Pack(train: 100, validation: 300, test: 40);
        var milestone = Runs.Train(Parameters, dataSet, _digits.NewFolder(), [40]).Of<MilestoneEvent>().Single();
        Check(milestone.Classes!, milestone.Accuracy, PlainImages(milestone.Weights, Enumerable.Range(100, 300)));
        Check(milestone.TestClasses!, milestone.TestAccuracy!.Value, PlainImages(milestone.Weights, Enumerable.Range(400, 40)));

        var withoutTest = Runs.Train(Parameters, _digits.Pack(train: 100, validation: 300, test: 0), _digits.NewFolder(), [5]).Of<MilestoneEvent>().Single();
        Assert.That(withoutTest.Classes, Is.Not.Null);
        Assert.That(withoutTest.TestClasses, Is.Null);

        static void Check(ClassMeasurement actual, double accuracy, List<PlainImage> plain)
        {
            var wrong = plain.Where(image => image.Predicted != image.Label).ToList();
            Assert.That((double)actual.Right.Sum() / actual.Images.Sum(), Is.EqualTo(accuracy));
            Assert.That(actual.Images, Is.EqualTo(Digits(plain, image => image.Label)));
            Assert.That(actual.Predicted, Is.EqualTo(Digits(plain, image => image.Predicted)));
            Assert.That(actual.Right, Is.EqualTo(Digits(plain.Except(wrong), image => image.Label)));
            Assert.That(
                actual.Confusions,
                Is.EqualTo(wrong.GroupBy(image => (image.Label, image.Predicted)).Select(pair => new Confusion(pair.Key.Label, pair.Key.Predicted, pair.Count()))
                    .OrderByDescending(pair => pair.Images).ThenBy(pair => pair.Label).ThenBy(pair => pair.Predicted)));
            var worst = wrong.OrderByDescending(image => image.Loss).Take(ClassMeasurement.MaxWorst).ToList();
            Assert.That(worst, Is.Not.Empty);
            Assert.That(actual.Worst.Select(image => (image.Row, image.Label, image.Predicted)), Is.EqualTo(worst.Select(image => (image.Row, image.Label, image.Predicted))));
            Assert.That(actual.Worst.Select(image => image.Probability), Is.EqualTo(worst.Select(image => image.Probability)).Within(Tolerance));
            Assert.That(actual.Worst.Select(image => image.LabelProbability), Is.EqualTo(worst.Select(image => Math.Exp(-image.Loss))).Within(Tolerance));
        }

        static IEnumerable<int> Digits(IEnumerable<PlainImage> images, Func<PlainImage, int> digit) =>
            Enumerable.Range(0, 10).Select(wanted => images.Count(image => digit(image) == wanted));
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
        var images = PlainImages(weights, rows);
        return (images.Average(image => image.Predicted == image.Label ? 1.0 : 0.0), images.Average(image => image.Loss), images.Average(image => image.Squares));
    }

    private static List<PlainImage> PlainImages(string weights, IEnumerable<int> rows) => [.. rows.Select(row =>
    {
        var label = row % 10;
        var logits = PlainNetwork.Logits(weights, DigitPainter.Paint(label, row), DigitPainter.Shape, pools: [true, true]).Select(logit => (double)logit).ToList();
        var sum = logits.Sum(Math.Exp);
        var predicted = logits.IndexOf(logits.Max());
        return new PlainImage(
            row,
            label,
            predicted,
            -Math.Log(Math.Exp(logits[label]) / sum),
            Math.Exp(logits[predicted]) / sum,
            logits.Select((logit, c) => Math.Pow((Math.Exp(logit) / sum) - (c == label ? 1 : 0), 2)).Average());
    })];

    private sealed record PlainImage(int Row, int Label, int Predicted, double Loss, double Probability, double Squares);
}
