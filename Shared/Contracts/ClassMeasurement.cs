namespace MlExperiments.Shared.Contracts;

/// <summary>
/// What became of each class when a network was measured on one split. Classes are places in the data set's list; what is derived from the
/// counts is in <see cref="ClassScores"/>. Its size depends on neither the number of images nor the square of the number of classes.
/// </summary>
/// <param name="Images">By class: how many images have it as their label.</param>
/// <param name="Predicted">By class: how many images were classified as it.</param>
/// <param name="Right">By class: how many images are both.</param>
/// <param name="Confusions">The confusion matrix off its diagonal without zeros: most images first, then by label, then by predicted class; at most
/// <see cref="MaxConfusions"/> pairs, which is all of them up to <see cref="MaxMatrixClasses"/> classes.</param>
/// <param name="Worst">The wrong images with the highest loss, that first, at most <see cref="MaxWorst"/>.</param>
public sealed record ClassMeasurement(
    IReadOnlyList<int> Images,
    IReadOnlyList<int> Predicted,
    IReadOnlyList<int> Right,
    IReadOnlyList<Confusion> Confusions,
    IReadOnlyList<WrongImage> Worst)
{
    /// <summary>Data sets of more classes have no such measurement.</summary>
    public const int MaxClasses = 10_000;

    public const int MaxMatrixClasses = 100;
    public const int MaxConfusions = MaxMatrixClasses * (MaxMatrixClasses - 1);
    public const int MaxWorst = 24;
}

/// <summary>Images of one class that were classified as another.</summary>
/// <param name="Images">How many, at least 1.</param>
public readonly record struct Confusion(int Label, int Predicted, int Images);

/// <summary>An image that was classified wrong.</summary>
/// <param name="Row">Its row in the packed data set, which is that in the data set version's manifest.</param>
/// <param name="Probability">Of the predicted class, 0 to 1; not a number where the training diverged.</param>
/// <param name="LabelProbability">Of the class that it should have been.</param>
/// <param name="Sha256">Of the image's file, lower-case hex. Trainers, which know rows only, leave it out; so does a worker that has no manifest any more.</param>
public sealed record WrongImage(int Row, int Label, int Predicted, double Probability, double LabelProbability, string? Sha256 = null);
