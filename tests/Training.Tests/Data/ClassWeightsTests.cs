using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Data;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Data;

public sealed class ClassWeightsTests
{
    [Test]
    public void Balanced_IsScikitLearnsFormula()
    {
        using var folder = new TemporaryFolder();
        using var data = PackedDataSet.Open(Pack(folder, train: [0, 0, 0, 0, 0, 0, 1, 1, 3]));
        // compute_class_weight("balanced") of 9 labels: 9 / (4 classes x count); what isn't there counts nothing.
        Assert.That(ClassWeights.Balanced(data), Is.EqualTo(new[] { 9 / 24f, 9 / 8f, 0, 9 / 4f }));
        Assert.That(ClassWeights.Create(DigitData.Small, data), Is.Null);
        using var weights = ClassWeights.Create(DigitData.Small with { ClassWeights = "balanced" }, data)!;
        Assert.That(MemoryMarshal.Cast<byte, float>(weights.bytes).ToArray(), Is.EqualTo(ClassWeights.Balanced(data)));
    }

    [Test]
    public void Training_OfARareClass_FindsItOnlyWhenBalanced()
    {
        using var folder = new TemporaryFolder();
        // One in thirty; the same number of each to validate with. few steps of a small network, in which the many have their way.
        var path = Pack(folder, [.. Enumerable.Range(0, 300).Select(i => i % 30 == 0 ? 3 : 0)]);
        double Accuracy(string weights)
        {
            var parameters = DigitData.Small with { Filters = 4, ClassWeights = weights, LearningRate = 0.002 };
            return Runs.Train(parameters, path, Directory.CreateDirectory(Path.Combine(folder.Path, weights)).FullName, [150]).Results.Single().Accuracy;
        }

        var balanced = Accuracy("balanced");
        Assert.That(balanced, Is.GreaterThan(Accuracy("none") + 0.1).And.GreaterThan(0.7));
    }

    private static string Pack(TemporaryFolder folder, int[] train)
    {
        var path = Path.Combine(folder.Path, "data.safetensors");
        int[] labels = [.. train, .. Enumerable.Range(0, 40).Select(i => i % 2 * 3)];
        using var writer = new PackedDataSetWriter(path, new(DigitPainter.Shape, ["a", "b", "c", "d"], train.Length, 40, 0, "rare"));
        for (var row = 0; row < labels.Length; row++) writer.Write(row, DigitPainter.Paint(labels[row], row), labels[row]);
        writer.Commit();
        return path;
    }
}
