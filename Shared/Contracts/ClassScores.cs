namespace MlExperiments.Shared.Contracts;

/// <summary>How well one class is told from the others; 0 to 1 each.</summary>
/// <param name="Precision">Share of the images classified as it that are of it.</param>
/// <param name="Recall">Share of the images of it that were classified as it.</param>
/// <param name="F1">Harmonic mean of the two.</param>
public readonly record struct ClassScore(double Precision, double Recall, double F1);

/// <summary>
/// Precision, recall and F1 (van Rijsbergen 1979; for many classes Sokolova and Lapalme 2009, "A systematic analysis of performance measures for
/// classification tasks"). 0/0 is 0, as for a class that nothing was classified as: scikit-learn does the same unless told otherwise.
/// </summary>
public static class ClassScores
{
    /// <param name="images">How many images are of the class.</param>
    /// <param name="predicted">How many were classified as it.</param>
    /// <param name="right">How many are both.</param>
    public static ClassScore Of(int images, int predicted, int right) =>
        new(Ratio(right, predicted), Ratio(right, images), Ratio(2.0 * right, (double)images + predicted));

    /// <summary>Of every class, in their order.</summary>
    public static ClassScore[] Of(ClassMeasurement measured) =>
        [.. measured.Images.Select((images, c) => Of(images, measured.Predicted[c], measured.Right[c]))];

    /// <summary>
    /// The plain means over the classes that the split has, as a label or as a prediction. F1 is the mean of the classes' F1, not that of the mean
    /// precision and recall, which rewards classifiers that err to one side (Opitz and Burst 2019, "Macro F1 and Macro F1").
    /// </summary>
    public static ClassScore Macro(ClassMeasurement measured)
    {
        var scores = Of(measured).Where((_, c) => measured.Images[c] + measured.Predicted[c] > 0).ToList();
        return scores.Count == 0
            ? default
            : new(scores.Average(score => score.Precision), scores.Average(score => score.Recall), scores.Average(score => score.F1));
    }

    private static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;
}
