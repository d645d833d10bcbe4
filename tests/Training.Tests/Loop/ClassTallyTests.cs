using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Tests.Loop;

public sealed class ClassTallyTests
{
    [Test]
    public void Counts_AreThoseOfTheWholeMatrix()
    {
        const int classes = 7;
        var (tally, matrix, random) = (new ClassTally(classes), new int[classes, classes], new Random(3));
        for (var row = 0; row < 2000; row++)
        {
            var (label, predicted) = (random.Next(classes), random.Next(classes));
            matrix[label, predicted]++;
            Add(tally, row, label, predicted, random.NextDouble(), classes);
        }

        var measured = tally.ToMeasurement();
        for (var label = 0; label < classes; label++)
        {
            Assert.That(measured.Images[label], Is.EqualTo(Enumerable.Range(0, classes).Sum(c => matrix[label, c])));
            Assert.That(measured.Predicted[label], Is.EqualTo(Enumerable.Range(0, classes).Sum(c => matrix[c, label])));
            Assert.That(measured.Right[label], Is.EqualTo(matrix[label, label]));
        }

        Assert.That(measured.Confusions, Has.Count.EqualTo(classes * (classes - 1)));
        Assert.That(measured.Confusions, Has.All.Matches<Confusion>(pair => matrix[pair.Label, pair.Predicted] == pair.Images && pair.Label != pair.Predicted));
        Assert.That(measured.Confusions.Select(pair => pair.Images), Is.Ordered.Descending);
    }

    [Test]
    public void Worst_AreTheWrongOnesWithTheHighestLoss_InAnyOrderOfRows()
    {
        // Ties on purpose: the lower rows of those go first.
        var images = Enumerable.Range(0, 500).Select(row => (Row: row, Loss: row * 7919 % 50 / 10.0, IsRight: row % 3 == 0)).ToList();
        var expected = images.Where(image => !image.IsRight).OrderByDescending(image => image.Loss).ThenBy(image => image.Row)
            .Take(ClassMeasurement.MaxWorst).Select(image => image.Row).ToList();

        foreach (var order in new[] { images, [.. images.AsEnumerable().Reverse()], [.. images.OrderBy(image => image.Row * 31 % 499)] })
        {
            var tally = new ClassTally(2);
            foreach (var image in order) Add(tally, image.Row, 0, image.IsRight ? 0 : 1, image.Loss, 2);
            Assert.That(tally.ToMeasurement().Worst.Select(image => image.Row), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Worst_WithLossesThatAreNoNumbers_ComeFirst_AndCrossTheProtocol()
    {
        var tally = new ClassTally(2);
        Add(tally, 4, 1, 0, 3, 2);
        tally.Add(9, 1, 0, double.NaN, [double.NaN, double.NaN]);
        tally.Add(8, 1, 0, double.PositiveInfinity, [1, 0]);
        var measured = tally.ToMeasurement();
        Assert.That(measured.Worst.Select(image => image.Row), Is.EqualTo(new[] { 8, 9, 4 }));
        var read = JsonSerializer.Deserialize<ClassMeasurement>(JsonSerializer.Serialize(measured, ContractJson.Options), ContractJson.Options)!;
        Assert.That(read.Worst, Is.EqualTo(measured.Worst));
        Assert.That(read.Confusions, Is.EqualTo(measured.Confusions));
    }

    [Test]
    public void Size_WithAThousandClassesAllConfused_StaysInBounds()
    {
        const int classes = 1000;
        var (tally, random, probabilities) = (new ClassTally(classes), new Random(1), new double[classes]);
        for (var row = 0; row < 200_000; row++) tally.Add(row, row % classes, random.Next(classes), random.NextDouble(), probabilities);

        var measured = tally.ToMeasurement();
        Assert.That(measured.Confusions, Has.Count.EqualTo(ClassMeasurement.MaxConfusions));
        Assert.That(measured.Images.Sum(), Is.EqualTo(200_000), "what is derived by class stays exact");
        Assert.That(JsonSerializer.SerializeToUtf8Bytes(measured, ContractJson.Options), Has.Length.LessThan(600_000));
    }

    private static void Add(ClassTally tally, int row, int label, int predicted, double loss, int classes)
    {
        var probabilities = new double[classes];
        probabilities[predicted] = 0.75;
        tally.Add(row, label, predicted, loss, probabilities);
    }
}
