using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Tests.Contracts;

[TestFixture]
public sealed class ClassScoresTests
{
    private const double Exact = 1e-12;

    // Labels 0 0 0 0 1 1 2 2 2 2, predicted 0 0 0 1 1 1 1 2 2 0.
    [Test]
    public void Scores_OfThreeClasses_AreThoseOfTheDefinitions()
    {
        var measured = Measured([4, 2, 4], [4, 4, 2], [3, 2, 2]);
        var scores = ClassScores.Of(measured);
        Check(scores[0], 0.75, 0.75, 0.75);
        Check(scores[1], 0.5, 1, 2 / 3.0);
        Check(scores[2], 1, 0.5, 2 / 3.0);
        Check(ClassScores.Macro(measured), 0.75, 0.75, (0.75 + (4 / 3.0)) / 3);
    }

    [Test]
    public void Scores_OfAClassThatNothingWasClassifiedAs_AreZeroAndCount()
    {
        var measured = Measured([3, 1], [4, 0], [3, 0]);
        Check(ClassScores.Of(measured)[1], 0, 0, 0);
        Check(ClassScores.Macro(measured), 0.375, 0.5, 3 / 7.0);
    }

    [Test]
    public void Macro_LeavesOutWhatTheSplitLacks_AndCountsWhatIsOnlyPredicted()
    {
        // The second class is neither a label nor a prediction; the third is a prediction only.
        var measured = Measured([4, 0, 0], [3, 0, 1], [3, 0, 0]);
        Check(ClassScores.Of(measured)[1], 0, 0, 0);
        Check(ClassScores.Of(measured)[2], 0, 0, 0);
        Check(ClassScores.Macro(measured), 0.5, 0.375, 3 / 7.0);
    }

    [Test]
    public void Scores_OfNothing_AreZero() => Check(ClassScores.Macro(Measured([0, 0], [0, 0], [0, 0])), 0, 0, 0);

    [Test]
    public void F1_IsTheHarmonicMean_AndStaysInRange()
    {
        var random = new Random(5);
        for (var round = 0; round < 1000; round++)
        {
            var right = random.Next(0, 50);
            var score = ClassScores.Of(right + random.Next(1, 50), right + random.Next(1, 50), right);
            var expected = right == 0 ? 0 : 2 / ((1 / score.Precision) + (1 / score.Recall));
            Assert.That(score.F1, Is.EqualTo(expected).Within(Exact).And.InRange(0, 1));
        }
    }

    private static ClassMeasurement Measured(int[] images, int[] predicted, int[] right) => new(images, predicted, right, [], []);

    private static void Check(ClassScore actual, double precision, double recall, double f1)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(actual.Precision, Is.EqualTo(precision).Within(Exact));
            Assert.That(actual.Recall, Is.EqualTo(recall).Within(Exact));
            Assert.That(actual.F1, Is.EqualTo(f1).Within(Exact));
        }
    }
}
