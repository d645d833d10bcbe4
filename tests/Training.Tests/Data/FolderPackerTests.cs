using System.Security.Cryptography;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Data;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Data;

public sealed class FolderPackerTests
{
    private DigitData _digits = null!;
    private string _images = null!;

    [SetUp]
    public void CreateFolder()
    {
        _digits = new();
        _images = _digits.NewFolder();
    }

    [TearDown]
    public void RemoveFolder() => _digits.Dispose();

    // The command line and the service agree: what one measured, the other would have.
    [Test]
    public void Pack_OfAFolder_GivesTheRowsAndHashOfAServicesManifest()
    {
        DigitData.Write(_images, [0, 1, 2], 30);
        var uploaded = Enumerable.Range(0, 90)
            .Select(i => (Digit: i % 3, File: DigitPainter.PaintPng(i % 3, i / 3)))
            .Select((image, i) => new ManifestImage(SHA256.HashData(image.File), $"{image.Digit}", ImageSplit.Train, "a pack", i * 100, image.File.Length))
            .Reverse().ToList();
        Assert.That(DataSetManifest.TryCreate(uploaded, out var manifest, out var reason), Is.True, reason);

        using var data = PackedDataSet.Open(Pack());
        Assert.That(data.Hash, Is.EqualTo(manifest!.Hash));
        Assert.That(data.Validation, Is.EqualTo(new PackedSplit(manifest.TrainCount, manifest.ValidationCount)));
        Assert.That(manifest.ValidationCount, Is.Positive);
        for (var row = 0; row < manifest.Count; row++)
        {
            var place = uploaded.FindIndex(image => image.Offset == manifest.Location(row).Offset);
            var pixels = new byte[DigitPainter.Shape.Size];
            data.Gather([row], pixels);
            Assert.That(pixels, Is.EqualTo(DigitPainter.Paint((89 - place) % 3, (89 - place) / 3)));
            Assert.That(data.Labels[row], Is.EqualTo(manifest.Label(row)));
        }
    }

    [Test]
    public void Pack_OfAFewImages_HasBothSplits()
    {
        DigitData.Write(_images, [0, 1], 1);
        using var data = PackedDataSet.Open(Pack());
        Assert.That((data.Train.Count, data.Validation.Count), Is.EqualTo((1, 1)));
    }

    [Test]
    public void Pack_OfAnImageTwice_TakesItOnce()
    {
        DigitData.Write(_images, [0, 1], 10);
        var path = Pack();
        File.Copy(Path.Combine(_images, "0", "3.png"), Path.Combine(_images, "0", "copy.png"));
        Assert.That(Pack(Path.GetDirectoryName(path)!), Is.EqualTo(path));
        using var data = PackedDataSet.Open(path);
        Assert.That(data.Labels.Length, Is.EqualTo(20));
    }

    [Test]
    public void Pack_OfAnImageUnderTwoLabels_IsRefused()
    {
        DigitData.Write(_images, [0, 1], 10);
        File.Copy(Path.Combine(_images, "0", "3.png"), Path.Combine(_images, "1", "copy.png"));
        Assert.That(() => Pack(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("3.png").And.Message.Contains("copy.png").And.Message.Contains("two labels"));
    }

    private string Pack(string? folder = null) => FolderPacker.Pack(ImageFolder.Scan(_images), DigitPainter.Shape, folder ?? _digits.NewFolder());
}
