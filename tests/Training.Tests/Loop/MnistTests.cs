using System.IO.Compression;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

public sealed class MnistTests
{
    [Test]
    public void ClassicNetwork_After300Steps_IsAbove95Percent()
    {
        using var archive = ZipFile.OpenRead(SampleData.PathOrSkip("mnist.zip"));
        using var digits = new DigitData();
        var images = archive.Entries.Where(entry => entry.Name.EndsWith(".png", StringComparison.Ordinal)).ToLookup(entry => entry.FullName.Contains("/train/", StringComparison.Ordinal));
        // Every third image: 20,000 to train on, which 300 batches of 64 don't reach the end of, and 2,000 to measure.
        var train = images[true].Where((_, i) => i % 3 == 0).ToList();
        var validation = images[false].Where((_, i) => i % 5 == 0).ToList();

        var path = Path.Combine(digits.Folder, "mnist.safetensors");
        using (var writer = new PackedDataSetWriter(path, new(DigitPainter.Shape, DigitData.Classes, train.Count, validation.Count, 0, "mnist")))
        {
            var (row, pixels) = (0, new byte[DigitPainter.Shape.Size]);
            foreach (var entry in train.Concat(validation))
            {
                using var content = entry.Open();
                using var file = new MemoryStream();
                content.CopyTo(file);
                Assert.That(ImageDecoder.TryDecode(file.ToArray(), DigitPainter.Shape, pixels, out var reason), reason);
                writer.Write(row++, pixels, entry.FullName[^(entry.Name.Length + 2)] - '0');
            }

            writer.Commit();
        }

        var run = Runs.Train(new() { LearningRate = 0.001, Layers = 2, Dropout = 0.5 }, path, digits.NewFolder(), [300]);
        Assert.That(run.Results[0].Accuracy, Is.GreaterThan(0.95));
    }
}
