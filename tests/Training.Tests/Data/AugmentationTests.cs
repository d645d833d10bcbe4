using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Data;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Data;

public sealed class AugmentationTests
{
    private static readonly ImageShape Shape = new(9, 7, 3);

    private static readonly TrajectoryParameters All = DigitData.Small with { AugmentShift = 0.2, AugmentRotate = 30, AugmentScale = 0.25 };

    [Test]
    public void Resample_ByNothing_KeepsEveryByte()
    {
        var image = Noise(Shape);
        Assert.That(Resample(image, new(0, 0, 0, 1)), Is.EqualTo(image));
        Assert.That(Augmentation.Create(DigitData.Small, Shape), Is.Null, "nothing is asked for");
    }

    [Test]
    public void Resample_ByWholePixels_MovesThemAndBringsInBlack()
    {
        var image = Noise(Shape);
        var moved = Resample(image, new(2, -1, 0, 1));
        for (var i = 0; i < image.Length; i++)
        {
            var (x, y) = (i / 3 % 9, i / 27);
            Assert.That(moved[i], Is.EqualTo(x >= 2 && y < 6 ? image[i + 27 - 6] : 0), $"{x}, {y}");
        }
    }

    [Test]
    public void Resample_ByHalfAPixel_IsTheMeanOfTwo()
    {
        var row = new byte[10 * 8];
        (row[32], row[33]) = (100, 200);
        var moved = new byte[row.Length];
        Augmentation.Resample(row, moved, new(8, 10, 1), new(0.5, 0, 0, 1));
        Assert.That(moved[32..36], Is.EqualTo(new byte[] { 50, 150, 100, 0 }));
    }

    [Test]
    public void Resample_ByAQuarterTurn_TurnsClockwise()
    {
        var image = new byte[81];
        image[4] = 250; // top middle
        var moved = new byte[81];
        Augmentation.Resample(image, moved, new(9, 9, 1), new(0, 0, 90, 1));
        Assert.That(Array.IndexOf(moved, (byte)250), Is.EqualTo((4 * 9) + 8), "right middle");
    }

    [Test]
    public void Resample_ByTwice_SpreadsFromTheCentre()
    {
        var image = new byte[81];
        (image[40], image[42]) = (200, 90);
        var moved = new byte[81];
        Augmentation.Resample(image, moved, new(9, 9, 1), new(0, 0, 0, 2));
        Assert.That((moved[40], moved[41], moved[44]), Is.EqualTo(((byte)200, (byte)100, (byte)90)));
    }

    [Test]
    public void Draws_OverManyImages_FillTheirRangesEvenly()
    {
        var augmentation = Augmentation.Create(All, Shape)!;
        var draws = new Draws(7, Purpose.Augmentation, 0);
        var moves = Enumerable.Range(0, 20_000).Select(_ => augmentation.Draw(ref draws)).ToList();
        void Check(Func<Augmentation.Move, double> value, double middle, double reach)
        {
            var values = moves.Select(move => (value(move) - middle) / reach).ToList();
            Assert.That(values, Is.All.InRange(-1, 1));
            Assert.That((values.Min(), values.Max()), Is.EqualTo((-1.0, 1.0)).Within(0.001));
            // An even distribution over 2 has mean 0 and variance 1/3.
            Assert.That(values.Average(), Is.Zero.Within(0.02));
            Assert.That(values.Average(each => each * each), Is.EqualTo(1.0 / 3).Within(0.01));
        }

        Check(move => move.Right, 0, 0.2 * 9);
        Check(move => move.Down, 0, 0.2 * 7);
        Check(move => move.Degrees, 0, 30);
        Check(move => move.Factor, 1, 0.25);
    }

    [Test]
    public void Apply_IsAFunctionOfSeedStepAndPlace()
    {
        byte[] Apply(TrajectoryParameters parameters, int step)
        {
            var images = Enumerable.Repeat(Noise(Shape), 3).SelectMany(image => image).ToArray();
            Augmentation.Create(parameters, Shape)!.Apply(images, step);
            return images;
        }

        var first = Apply(All, 5);
        Assert.That(Apply(All, 5), Is.EqualTo(first));
        Assert.That(Apply(All, 6), Is.Not.EqualTo(first));
        Assert.That(Apply(All with { Seed = 8 }, 5), Is.Not.EqualTo(first));
        Assert.That(first[..Shape.Size], Is.Not.EqualTo(first[Shape.Size..(2 * Shape.Size)]));
    }

    [Test]
    public void Training_Augmented_MeasuresImagesAsTheyAre()
    {
        using var digits = new DigitData();
        var dataSet = digits.Pack();
        // Too small a rate to change anything: what differs is the training images.
        var parameters = DigitData.Small with { LearningRate = 1e-7, Dropout = 0 };
        var (plain, augmented) = (Train(parameters), Train(parameters with { AugmentShift = 0.3, AugmentRotate = 90 }));
        Assert.That(augmented["validationLoss"], Is.EqualTo(plain["validationLoss"]).Within(1e-4));
        Assert.That(augmented["loss"], Is.Not.EqualTo(plain["loss"]).Within(1e-4));

        IReadOnlyDictionary<string, double> Train(TrajectoryParameters with) =>
            Runs.Train(with, dataSet, digits.NewFolder(), [50]).Of<MetricsEvent>().Single().Values;
    }

    private static byte[] Resample(byte[] image, Augmentation.Move move)
    {
        var moved = new byte[image.Length];
        Augmentation.Resample(image, moved, Shape, move);
        return moved;
    }

    private static byte[] Noise(ImageShape shape)
    {
        var image = new byte[shape.Size];
        new Random(3).NextBytes(image);
        return image;
    }
}
