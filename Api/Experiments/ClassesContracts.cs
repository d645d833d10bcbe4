namespace MlExperiments.Api.Experiments;

/// <summary>How well an experiment tells each class from the others.</summary>
/// <param name="Validation">On the whole validation split.</param>
/// <param name="Test">On the test split; null where there was none.</param>
public sealed record ClassesResponse(Guid ExperimentId, ClassResults Validation, ClassResults? Test);

/// <summary>What became of the images of one split.</summary>
/// <param name="Images">How many there are.</param>
/// <param name="Accuracy">Share of them that are classified right, 0 to 1.</param>
/// <param name="Macro">Plain means over the classes that the split has as a label or as a prediction, each class as much as another.</param>
/// <param name="Classes">Every class of the data set, in the order of the matrix.</param>
/// <param name="Matrix">The confusion matrix, images by label (row) and predicted class (column); null for more than 100 classes.</param>
/// <param name="Confusions">The pairs of classes that were confused most, most images first.</param>
/// <param name="Worst">The wrong images with the highest loss, that first, at most 24.</param>
public sealed record ClassResults(
    int Images,
    double Accuracy,
    ClassMeans Macro,
    IReadOnlyList<ClassResult> Classes,
    IReadOnlyList<IReadOnlyList<int>>? Matrix,
    IReadOnlyList<ConfusedClasses> Confusions,
    IReadOnlyList<WorstImage> Worst);

/// <param name="F1">The mean of the classes' F1 (Opitz and Burst 2019).</param>
public sealed record ClassMeans(double Precision, double Recall, double F1);

/// <summary>One class. A share of nothing, 0/0, is 0.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Support">How many images have it as their label.</param>
/// <param name="Predicted">How many images were classified as it.</param>
/// <param name="Right">How many are both.</param>
/// <param name="Precision">right / predicted, 0 to 1.</param>
/// <param name="Recall">right / support, 0 to 1.</param>
/// <param name="F1">Harmonic mean of precision and recall, 0 to 1.</param>
public sealed record ClassResult(string Label, int Support, int Predicted, int Right, double Precision, double Recall, double F1);

/// <param name="Label">What the images are.</param>
/// <param name="Predicted">What they were taken for.</param>
/// <param name="Images">How many.</param>
public sealed record ConfusedClasses(string Label, string Predicted, int Images);

/// <summary>An image that was classified wrong.</summary>
/// <param name="Sha256">Of its file, 64 lower-case hex digits; null where the service doesn't know any more which image it was.</param>
/// <param name="Label">What it was labelled when the experiment was generated.</param>
/// <param name="Predicted">What it was taken for.</param>
/// <param name="Probability">Of predicted, 0 to 1; null where the training diverged.</param>
/// <param name="LabelProbability">Of label, 0 to 1; null where the training diverged.</param>
/// <param name="ImageId">Null where it was removed from the model since.</param>
/// <param name="Content">Where the file is; null where it was removed.</param>
public sealed record WorstImage(string? Sha256, string Label, string Predicted, double? Probability, double? LabelProbability, Guid? ImageId, string? Content);
