using System.Diagnostics;
using System.IO.Compression;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Imaging;

/// <summary>Whole collections of images: the damaged and the hostile, and very many ordinary ones.</summary>
public sealed class ImageDecoderCollectionTests
{
    private const int Mebibyte = 1024 * 1024;
    private static readonly ImageShape Shape = new(32, 32, 3);

    [Test]
    public void TryDecode_OddImages_EachIsDecodedOrRefusedWithAReason()
    {
        using var zip = ZipFile.OpenRead(SampleData.PathOrSkip("odd-images.zip"));
        var pixels = new byte[Shape.Size];
        int decoded = 0, refused = 0;
        ImageDecoder.TryDecode(TinyImages.Gif, Shape, pixels, out _);
        ProcessMemory.ResetPeak();
        var before = ProcessMemory.Resident;
        var total = Stopwatch.StartNew();
        foreach (var entry in zip.Entries)
        {
            var file = ReadAll(entry);
            var watch = Stopwatch.StartNew();
            var known = ImageDecoder.TryDecode(file, Shape, pixels, out var reason);
            if (known)
                decoded++;
            else
                refused++;
            if (watch.ElapsedMilliseconds > 500)
                TestContext.Out.WriteLine($"{watch.ElapsedMilliseconds} ms: {entry.FullName}");
            using (Assert.EnterMultipleScope())
            {
                Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(10)), entry.FullName);
                Assert.That(reason, known ? Is.Null : Is.Not.Empty, entry.FullName);
            }
        }

        var growth = ProcessMemory.Peak - before;
        TestContext.Out.WriteLine($"{decoded} decoded, {refused} refused in {total.Elapsed.TotalSeconds:0.0} s; {growth / Mebibyte} MiB more at the peak.");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(decoded, Is.GreaterThan(450));
            Assert.That(refused, Is.GreaterThan(100));
            Assert.That(growth, Is.LessThan(300L * Mebibyte));
            Assert.That(total.Elapsed, Is.LessThan(TimeSpan.FromSeconds(120)));
        }
    }

    [Test]
    public void TryDecode_PngSuite_RefusesJustTheCorruptOnes()
    {
        using var zip = ZipFile.OpenRead(SampleData.PathOrSkip("odd-images.zip"));
        var pixels = new byte[Shape.Size];
        var wrong = zip.Entries
            .Where(entry => entry.FullName.StartsWith("pngsuite/", StringComparison.Ordinal) && entry.Name.EndsWith(".png", StringComparison.Ordinal))
            .Where(entry => ImageDecoder.TryDecode(ReadAll(entry), Shape, pixels, out _) == entry.Name.StartsWith('x'))
            .Select(entry => entry.Name);
        Assert.That(wrong, Is.Empty);
    }

    [Test]
    public void TryDecode_Mnist_TakesAFewSecondsForAll()
    {
        using var zip = ZipFile.OpenRead(SampleData.PathOrSkip("mnist.zip"));
        var files = zip.Entries.Select(ReadAll).ToList();
        var pixels = new byte[28 * 28];
        var watch = Stopwatch.StartNew();
        var decoded = files.Count(file => ImageDecoder.TryDecode(file, new ImageShape(28, 28, 1), pixels, out _));
        TestContext.Out.WriteLine($"{decoded} images in {watch.Elapsed.TotalSeconds:0.00} s: {decoded / watch.Elapsed.TotalSeconds:0} a second.");
        Assert.That(decoded, Is.EqualTo(files.Count));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(30)));
    }

    private static byte[] ReadAll(ZipArchiveEntry entry)
    {
        var bytes = new byte[entry.Length];
        using var stream = entry.Open();
        stream.ReadExactly(bytes);
        return bytes;
    }
}
