using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using static MlExperiments.Shared.Tests.Imaging.ImageFiles;

namespace MlExperiments.Shared.Tests.Imaging;

/// <summary>Small files that ask for much memory or time: the size that is checked has to be the size that is decoded.</summary>
public sealed class HostileImagesTests
{
    private const int Mebibyte = 1024 * 1024;
    private static readonly ImageShape Shape = new(8, 8, 3);

    private static IEnumerable<TestCaseData> Files()
    {
        yield return Case("PNG with a huge header", Png(60_000, 60_000, 8, 6, [0]));
        yield return Case("PNG with the largest header", Png(int.MaxValue, int.MaxValue, 16, 6, [0]));
        yield return Case("JPEG of 65535 x 65535 pixels", WithSize(TinyImages.Jpeg, ushort.MaxValue, ushort.MaxValue));
        yield return Case("JPEG of 65500 x 65500 pixels", WithSize(TinyImages.Jpeg, 65_500, 65_500));
        yield return Case("JPEG with a huge frame header in front", [0xFF, 0xD8, .. Segment(0xC0, [8, 0xFF, 0xDC, 0xFF, 0xDC, 1, 1, 0x11, 0]), .. TinyImages.Jpeg[2..]]);
        yield return Case("GIF with a small screen and a huge frame", [.. GifScreen(8, 8), .. GifFrame(0, 0, 46_000, 46_000, 0), (byte)';']);
        yield return Case("GIF with a huge frame after a comment", [.. GifScreen(8, 8), .. GifComment(1000), .. GifFrame(0, 0, 46_000, 46_000, 0), (byte)';']);
        yield return Case("GIF with a huge frame after other bytes", [.. GifScreen(8, 8), 0, 1, 2, 0xFF, .. GifFrame(0, 0, 46_000, 46_000, 0), (byte)';']);
        yield return Case("GIF with a huge frame after an unfinished comment", [.. GifScreen(8, 8), (byte)'!', 0xFE, 3, 0, .. GifFrame(0, 0, 46_000, 46_000, 0), (byte)';']);
        yield return Case("GIF with a huge screen and a small frame", [.. GifScreen(60_000, 60_000), .. GifFrame(0, 0, 8, 8, 0), (byte)';']);
        yield return Case("GIF with a frame far outside its screen", [.. GifScreen(8, 8), .. GifFrame(60_000, 60_000, 60_000, 60_000, 0), (byte)';']);
        yield return Case("BMP of 60000 x 60000 pixels", Bmp(60_000, 60_000));
        yield return Case("BMP with the lowest height", Bmp(8, int.MinValue));
        yield return Case("BMP with the lowest width", Bmp(int.MinValue, 8));
        yield return Case("BMP with a huge height from top to bottom", Bmp(60_000, -60_000));
        yield return Case("BMP with runs of 65535 x 65535 pixels", Bmp(ushort.MaxValue, ushort.MaxValue, bits: 8, compression: 1));
        yield return Case("WebP with a huge canvas around a small image", Webp(WebpCanvas(0, 16_777_216, 16_000), WebpChunks(TinyImages.Webp)));
        yield return Case("WebP with a huge image on a small canvas", Webp(WebpCanvas(0, 8, 8), WebpLossless(16_384, 16_384)));
        yield return Case("WebP with a huge image", Webp(WebpLossless(16_384, 16_384)));
        yield return Case(
            "WebP with a huge frame on a small canvas",
            Webp(WebpCanvas(2, 8, 8), WebpChunk("ANIM", new byte[6]), WebpChunk("ANMF", [.. new byte[6], 255, 63, 0, 255, 63, 0, 100, 0, 0, 0, .. WebpLossless(16_384, 16_384)])));
        yield return Case(
            "WebP with a frame that says that it is small",
            Webp(WebpCanvas(2, 8, 8), WebpChunk("ANIM", new byte[6]), WebpChunk("ANMF", [.. new byte[6], 7, 0, 0, 7, 0, 0, 100, 0, 0, 0, .. WebpLossless(16_384, 16_384)])));
        yield return Case("icon that holds a huge PNG", [0, 0, 1, 0, 1, 0, 8, 8, 0, 0, 1, 0, 32, 0, 67, 0, 0, 0, 22, 0, 0, 0, .. Png(60_000, 60_000, 8, 6, [0])]);

        static TestCaseData Case(string name, byte[] file) => new TestCaseData(file).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Files))]
    public void TryDecode_FileThatAsksForMuchMemory_IsRefusedAtOnce(byte[] file)
    {
        var (decoded, reason, growth, time) = Measure(file);
        TestContext.Out.WriteLine($"{file.Length} bytes: {reason}; {growth / Mebibyte} MiB, {time.TotalMilliseconds:0} ms");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(decoded, Is.False);
            Assert.That(reason, Is.Not.Empty);
            Assert.That(growth, Is.LessThan(16 * Mebibyte));
            Assert.That(time, Is.LessThan(TimeSpan.FromSeconds(2)));
        }
    }

    [TestCase("iCCP", "x\0\0")]
    [TestCase("zTXt", "x\0\0")]
    [TestCase("iTXt", "x\0\x1\0\0\0")]
    public void TryDecode_PngChunkThatUnpacksToMuch_IsLeftOut(string type, string start)
    {
        var chunk = Chunk(type, [.. start.Select(letter => (byte)letter), .. Zlib(new byte[100 * Mebibyte])]);
        var (decoded, reason, growth, _) = Measure(Png(8, 8, 8, 0, [.. Enumerable.Repeat(new byte[9], 8).SelectMany(row => row)], chunk));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(decoded, Is.True, reason);
            Assert.That(growth, Is.LessThan(16 * Mebibyte));
        }
    }

    [Test]
    public void TryDecode_JpegWithThousandsOfPasses_IsRefusedSoon()
    {
        // The last pass of a progressive JPEG, again and again: each is over 25 million pixels.
        var jpeg = TinyImages.ProgressiveJpeg;
        var frame = jpeg.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC2]);
        var pass = jpeg.AsSpan().LastIndexOf((ReadOnlySpan<byte>)[0xFF, 0xDA]);
        byte[] file = [.. jpeg[..^2], .. Enumerable.Repeat(jpeg[pass..^2], 5000).SelectMany(bytes => bytes), 0xFF, 0xD9];
        (file[frame + 5], file[frame + 6], file[frame + 7], file[frame + 8]) = (5000 >> 8, 5000 & 0xFF, 5000 >> 8, 5000 & 0xFF);
        var (decoded, reason, _, time) = Measure(file);
        TestContext.Out.WriteLine($"{file.Length} bytes: {reason}; {time.TotalMilliseconds:0} ms");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(decoded, Is.False);
            Assert.That(reason, Does.Contain("passes over its 5000 x 5000 pixels"));
            Assert.That(time, Is.LessThan(TimeSpan.FromSeconds(1)));
        }
    }

    [Test]
    public void TryDecode_JpegWithAnotherHugeFrameHeaderAfterItsPixels_HasTheSizeOfTheFirst()
    {
        var (decoded, reason, growth, _) = Measure([.. TinyImages.Jpeg[..^2], .. Segment(0xC0, [8, 0xFF, 0xDC, 0xFF, 0xDC, 1, 1, 0x11, 0]), 0xFF, 0xD9]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(decoded, Is.True, reason);
            Assert.That(growth, Is.LessThan(16 * Mebibyte));
        }
    }

    [Test]
    public void TryDecode_GifFrameLargerThanItsScreen_HasTheSizeThatIsDecoded()
    {
        byte[] file = [.. GifScreen(8, 8), .. GifFrame(0, 0, 32, 16, 0), (byte)';'];
        var pixels = new byte[Shape.Size];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ImageDecoder.TryDecode(file, Shape, pixels, out var info, out var reason), Is.True, reason);
            Assert.That(info, Is.EqualTo(new ImageInfo("image/gif", 32, 16)));
            Assert.That(pixels.Chunk(3), Is.All.EqualTo(new byte[] { 200, 100, 50 }));
        }
    }

    private static (bool Decoded, string? Reason, long Growth, TimeSpan Time) Measure(byte[] file)
    {
        var pixels = new byte[Shape.Size];
        Assert.That(ImageDecoder.TryDecode(TinyImages.Gif, Shape, pixels, out _), Is.True);
        ProcessMemory.ResetPeak();
        var before = ProcessMemory.Resident;
        // The processor's time: other programs don't count.
        var started = Environment.CpuUsage.TotalTime;
        var decoded = ImageDecoder.TryDecode(file, Shape, pixels, out var reason);
        return (decoded, reason, ProcessMemory.Peak - before, Environment.CpuUsage.TotalTime - started);
    }

    private static byte[] Bmp(int width, int height, byte bits = 24, byte compression = 0)
    {
        var file = TinyImages.Bmp();
        Little32(width).CopyTo(file, 18);
        Little32(height).CopyTo(file, 22);
        (file[28], file[30]) = (bits, compression);
        return file;
    }
}
