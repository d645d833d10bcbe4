using MlExperiments.Shared.Imaging;
using SkiaSharp;
using static MlExperiments.Shared.Tests.Imaging.ImageFiles;

namespace MlExperiments.Shared.Tests.Imaging;

public sealed class ImageDecoderTests
{
    private static readonly ImageShape Colour = new(8, 8, 3);
    private static readonly ImageShape Grey = new(8, 8, 1);
    private static readonly ImageShape Noisy = new(64, 48, 3);

    private static IEnumerable<TestCaseData> Formats() =>
    [
        new TestCaseData(TinyImages.Gif, "image/gif").SetArgDisplayNames("gif"),
        new TestCaseData(TinyImages.Webp, "image/webp").SetArgDisplayNames("webp"),
        new TestCaseData(TinyImages.Jpeg, "image/jpeg").SetArgDisplayNames("jpeg"),
        new TestCaseData(TinyImages.Bmp(), "image/bmp").SetArgDisplayNames("bmp"),
        new TestCaseData(PngWriter.Encode(Fill(Colour, [200, 100, 50]), Colour), "image/png").SetArgDisplayNames("png"),
    ];

    [TestCaseSource(nameof(Formats))]
    public void TryDecode_EachFormat_GivesItsColour(byte[] file, string mediaType)
    {
        var pixels = new byte[Colour.Size];
        Assert.That(ImageDecoder.TryDecode(file, Colour, pixels, out var info, out var reason), Is.True, reason);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(info, Is.EqualTo(new ImageInfo(mediaType, 8, 8)));
            Assert.That(pixels[0], Is.EqualTo(200).Within(4));
            Assert.That(pixels[1], Is.EqualTo(100).Within(4));
            Assert.That(pixels[2], Is.EqualTo(50).Within(4));
        }
    }

    [TestCaseSource(nameof(Formats))]
    public void TryDecode_EveryWayToCutAFileShort_NeverThrows(byte[] file, string mediaType)
    {
        var pixels = new byte[Colour.Size];
        Assert.That(mediaType, Is.Not.Empty);
        for (var length = 0; length < file.Length; length++)
        {
            var decoded = ImageDecoder.TryDecode(file.AsSpan(0, length), Colour, pixels, out var reason);
            Assert.That(reason, decoded ? Is.Null : Is.Not.Empty);
        }
    }

    [TestCase(1)]
    [TestCase(3)]
    public void TryDecode_SizeOfTheShape_GivesThePixelsExactly(int channels)
    {
        var shape = new ImageShape(28, 28, channels);
        var expected = new byte[shape.Size];
        new Random(1).NextBytes(expected);
        Assert.That(Decode(PngWriter.Encode(expected, shape), shape), Is.EqualTo(expected));
    }

    [Test]
    public void TryDecode_GreyAsColour_GivesThreeEqualChannels()
    {
        var grey = Enumerable.Range(0, 64).Select(value => (byte)(value * 4)).ToArray();
        Assert.That(
            Decode(PngWriter.Encode(grey, Grey), Colour),
            Is.EqualTo(grey.SelectMany(value => new[] { value, value, value })));
    }

    [TestCase(255, 0, 0, 76)]
    [TestCase(0, 255, 0, 150)]
    [TestCase(0, 0, 255, 29)]
    [TestCase(255, 255, 255, 255)]
    public void TryDecode_ColourAsGrey_GivesItsLuma(byte red, byte green, byte blue, byte luma)
    {
        var file = PngWriter.Encode(Fill(Colour, [red, green, blue]), Colour);
        Assert.That(Decode(file, Grey), Is.All.EqualTo(luma));
    }

    [Test]
    public void TryDecode_HalfTheSize_GivesTheMeanOfTheAreaBelow()
    {
        var checkerboard = new byte[256];
        for (var at = 0; at < 256; at++)
            checkerboard[at] = (byte)((at + (at / 16)) % 2 * 200);
        Assert.That(Decode(PngWriter.Encode(checkerboard, new ImageShape(16, 16, 1)), Grey), Is.All.EqualTo(100));
    }

    [TestCase(37, 23, 8, 11)]
    [TestCase(5, 3, 8, 9)]
    [TestCase(100, 7, 13, 14)]
    [TestCase(1, 1, 8, 8)]
    [TestCase(61, 500, 24, 32)]
    public void TryDecode_AnyRatio_WeighsEachPixelByTheAreaThatIsCovered(int width, int height, int newWidth, int newHeight)
    {
        var (from, to) = (new ImageShape(width, height, 3), new ImageShape(newWidth, newHeight, 3));
        var source = new byte[from.Size];
        new Random(2).NextBytes(source);
        var expected = new byte[to.Size];
        for (var at = 0; at < expected.Length; at++)
        {
            var (row, column, channel) = (at / 3 / newWidth, at / 3 % newWidth, at % 3);
            var sum = 0L;
            for (var y = 0; y < height; y++)
            {
                for (var x = 0; x < width; x++)
                    sum += source[(((y * width) + x) * 3) + channel] * Overlap(x, newWidth, column, width) * Overlap(y, newHeight, row, height);
            }

            expected[at] = (byte)Math.Floor(((double)sum / width / height) + 0.5);
        }

        Assert.That(Decode(PngWriter.Encode(source, from), to), Is.EqualTo(expected));

        static long Overlap(int pixel, int pixelLength, int target, int targetLength) => Math.Max(
            0, Math.Min((pixel + 1) * pixelLength, (target + 1) * targetLength) - Math.Max(pixel * pixelLength, target * targetLength));
    }

    [TestCase(8)]
    [TestCase(16)]
    public void TryDecode_Transparent_IsWhite(int side)
    {
        var shape = new ImageShape(side, side, 3);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Decode(TinyImages.TransparentPng, shape), Is.All.EqualTo(255));
            Assert.That(Decode(TinyImages.HalfTransparentPng, shape), Is.All.InRange(126, 130));
        }
    }

    [Test]
    public void TryDecode_OtherChunksInAPng_AreLeftOut()
    {
        var png = PngWriter.Encode(Fill(Grey, [7]), Grey);
        // A text chunk with a wrong check sum, which only who reads it finds out.
        byte[] text = [0, 0, 0, 3, .. "tEXt"u8, (byte)'a', 0, (byte)'b', 1, 2, 3, 4];
        Assert.That(Decode([.. png[..33], .. text, .. png[33..]], Grey), Is.All.EqualTo(7));
    }

    [TestCase(5001, 5000)]
    [TestCase(16_385, 1)]
    public void TryDecode_TooLarge_IsRefusedWithItsSize(int width, int height) =>
        Assert.That(Refuse(Png(width, height, 8, 0, [])), Does.Contain($"{width} x {height}"));

    [Test]
    public void TryDecode_AsLargeAsCanBe_IsDecoded() =>
        Assert.That(Decode(Png(5000, 5000, 8, 0, new byte[5000 * 5001]), Grey), Is.All.Zero);

    [TestCase(1, "abc def")]
    [TestCase(2, "cba fed")]
    [TestCase(3, "fed cba")]
    [TestCase(4, "def abc")]
    [TestCase(5, "ad be cf")]
    [TestCase(6, "da eb fc")]
    [TestCase(7, "fc eb da")]
    [TestCase(8, "cf be ad")]
    public void TryDecode_ExifOrientation_GivesTheUprightImage(byte orientation, string rows)
    {
        byte[] letters = [.. "abcdef"u8.ToArray().SelectMany(letter => Enumerable.Repeat(letter, 3))];
        var pixelsChunk = WebpChunks(Encode(letters, new ImageShape(3, 2, 3), SKEncodedImageFormat.Webp));
        var webp = Webp(WebpCanvas(8, 3, 2), pixelsChunk, WebpChunk("EXIF", Exif(orientation)));
        var (width, height) = (rows.IndexOf(' ', StringComparison.Ordinal), rows.Count(letter => letter == ' ') + 1);
        var pixels = new byte[6];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ImageDecoder.TryDecode(webp, new ImageShape(width, height, 1), pixels, out var info, out _), Is.True);
            Assert.That((info.Width, info.Height), Is.EqualTo((width, height)));
            Assert.That(System.Text.Encoding.ASCII.GetString(pixels), Is.EqualTo(rows.Replace(" ", "", StringComparison.Ordinal)));
        }
    }

    [Test]
    public void TryDecode_PhotoTakenUpright_IsUpright()
    {
        // Black on the left of what the sensor saw; turned by 90 degrees, that is at the top.
        var sensor = Enumerable.Range(0, 32 * 16).SelectMany(pixel => Enumerable.Repeat((byte)(pixel % 32 < 16 ? 0 : 255), 3)).ToArray();
        var jpeg = WithExif(Encode(sensor, new ImageShape(32, 16, 3), SKEncodedImageFormat.Jpeg), 6);
        var pixels = new byte[64];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ImageDecoder.TryDecode(jpeg, Grey, pixels, out var info, out _), Is.True);
            Assert.That(info, Is.EqualTo(new ImageInfo("image/jpeg", 16, 32)));
            Assert.That(pixels[..32], Is.All.LessThan(5));
            Assert.That(pixels[32..], Is.All.GreaterThan(250));
        }
    }

    [Test]
    public void TryDecode_SixteenBits_KeepsTheUpperEight() =>
        Assert.That(
            Decode(Png(3, 1, 16, 0, [0, 0x80, 0x00, 0x80, 0xFF, 0x7F, 0xFF]), new ImageShape(3, 1, 1)),
            Is.EqualTo(new byte[] { 0x80, 0x80, 0x7F }));

    [Test]
    public void TryDecode_OneBit_IsBlackAndWhite() =>
        Assert.That(Decode(Png(8, 1, 1, 0, [0, 0b10110000]), new ImageShape(8, 1, 1)), Is.EqualTo(new byte[] { 255, 0, 255, 255, 0, 0, 0, 0 }));

    [Test]
    public void TryDecode_Palette_GivesItsColours_AndWhiteWhereItIsTransparent()
    {
        var png = Png(2, 1, 8, 3, [0, 0, 1], Chunk("PLTE", [200, 100, 50, 1, 2, 3]), Chunk("tRNS", [255, 0]));
        Assert.That(Decode(png, new ImageShape(2, 1, 3)), Is.EqualTo(new byte[] { 200, 100, 50, 255, 255, 255 }));
    }

    [Test]
    public void TryDecode_Cmyk_GivesItsColour() =>
        Assert.That(Decode(TinyImages.CmykJpeg, Colour).Take(3).Zip<byte, int>([200, 100, 50]).Select(pair => Math.Abs(pair.First - pair.Second)), Is.All.LessThan(4));

    [TestCase(SKEncodedImageFormat.Png)]
    [TestCase(SKEncodedImageFormat.Jpeg)]
    public void TryDecode_ColourProfile_IsNotApplied(SKEncodedImageFormat format)
    {
        using var linear = SKColorSpace.CreateRgb(SKColorSpaceTransferFn.Linear, SKColorSpaceXyz.Rec2020);
        var file = Encode(Fill(Colour, [200, 100, 50]), Colour, format, linear);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(file.AsSpan().IndexOf(format == SKEncodedImageFormat.Png ? "iCCP"u8 : "ICC_PROFILE"u8), Is.Positive);
            Assert.That(Decode(file, Colour), Is.EqualTo(Decode(Encode(Fill(Colour, [200, 100, 50]), Colour, format), Colour)));
        }
    }

    [Test]
    public void TryDecode_Gamma_IsNotApplied() =>
        Assert.That(Decode(Png(1, 1, 8, 0, [0, 100], Chunk("gAMA", [0, 1, 0x86, 0xA0])), new ImageShape(1, 1, 1)), Is.EqualTo(new byte[] { 100 }));

    private static IEnumerable<TestCaseData> Animations() =>
    [
        new TestCaseData((byte[])[.. GifScreen(8, 8), .. GifFrame(0, 0, 8, 8, 0), .. GifFrame(0, 0, 8, 8, 1), (byte)';']).SetArgDisplayNames("gif"),
        new TestCaseData(TinyImages.AnimatedWebp).SetArgDisplayNames("webp"),
    ];

    [TestCaseSource(nameof(Animations))]
    public void TryDecode_Animation_GivesItsFirstFrame(byte[] file) => Assert.That(Decode(file, Colour), Is.EqualTo(Fill(Colour, [200, 100, 50])));

    [Test]
    public void TryDecode_FrameSmallerThanItsCanvas_IsPutOnWhite()
    {
        byte[] file = [.. GifScreen(2, 1), .. GifFrame(1, 0, 1, 1, 1), (byte)';'];
        Assert.That(Decode(file, new ImageShape(2, 1, 3)), Is.EqualTo(new byte[] { 255, 255, 255, 0, 0, 255 }));
    }

    private static IEnumerable<TestCaseData> WholeFiles() =>
    [
        new TestCaseData(PngWriter.Encode(Noise(), Noisy)).SetArgDisplayNames("png"),
        new TestCaseData(Encode(Noise(), Noisy, SKEncodedImageFormat.Jpeg)).SetArgDisplayNames("jpeg"),
        new TestCaseData(TinyImages.ProgressiveJpeg).SetArgDisplayNames("progressive jpeg"),
        new TestCaseData((byte[])[.. GifScreen(64, 48), .. GifFrame(0, 0, 64, 48, 1), (byte)';']).SetArgDisplayNames("gif"),
        new TestCaseData(TinyImages.Bmp(64, 48)).SetArgDisplayNames("bmp"),
        new TestCaseData(Encode(Noise(), Noisy, SKEncodedImageFormat.Webp)).SetArgDisplayNames("webp"),
    ];

    [TestCaseSource(nameof(WholeFiles))]
    public void TryDecode_CutShort_IsRefusedOrComplete(byte[] file)
    {
        var (whole, pixels) = (Decode(file, Noisy), new byte[Noisy.Size]);
        var refused = 0;
        using (Assert.EnterMultipleScope())
        {
            for (var length = 16; length < file.Length; length += 7)
            {
                // The last bytes of some formats hold no pixels.
                if (ImageDecoder.TryDecode(file.AsSpan(0, length), Noisy, pixels, out var reason))
                    Assert.That(pixels, Is.EqualTo(whole), $"{length} of {file.Length} bytes");
                else
                    Assert.That(reason, Does.Contain("cut short"), $"{length} of {file.Length} bytes");
                refused += reason is null ? 0 : 1;
            }

            Assert.That(refused, Is.GreaterThan((file.Length - 80) / 7));
        }
    }

    [Test]
    public void TryDecode_OtherDataAfterAJpeg_DoesNotCount()
    {
        byte[] file = [.. TinyImages.ProgressiveJpeg, .. "moving picture"u8, 0xFF, 0xDA, 0xFF, 0xC0, 1];
        Assert.That(Decode(file, Colour), Is.EqualTo(Decode(TinyImages.ProgressiveJpeg, Colour)));
    }

    [Test]
    public void TryDecode_ManyAtATime_GivesTheSamePixels()
    {
        using var linear = SKColorSpace.CreateRgb(SKColorSpaceTransferFn.Linear, SKColorSpaceXyz.Rec2020);
        byte[][] files =
        [
            Encode(Noise(), Noisy, SKEncodedImageFormat.Png, linear),
            Encode(Noise(), Noisy, SKEncodedImageFormat.Jpeg),
            Encode(Noise(), Noisy, SKEncodedImageFormat.Webp),
            TinyImages.Gif,
            TinyImages.Bmp(),
            TinyImages.CmykJpeg,
        ];
        var expected = files.Select(file => Decode(file, Colour)).ToList();
        var wrong = 0;
        Parallel.For(0, 6000, new ParallelOptions { MaxDegreeOfParallelism = 16 }, number =>
        {
            var pixels = new byte[Colour.Size];
            if (!ImageDecoder.TryDecode(files[number % files.Length], Colour, pixels, out _) || !pixels.SequenceEqual(expected[number % files.Length]))
                Interlocked.Increment(ref wrong);
        });
        Assert.That(wrong, Is.Zero);
    }

    [TestCase("")]
    [TestCase("a text")]
    [TestCase("<svg xmlns=\"http://www.w3.org/2000/svg\"/>")]
    public void TryDecode_NoImage_IsRefused(string text) =>
        Assert.That(Refuse(System.Text.Encoding.UTF8.GetBytes(text)), Is.EqualTo(text.Length == 0 ? "the file is empty" : "it is not a PNG, JPEG, GIF, BMP or WebP file"));

    [Test]
    public void TryDecode_Icon_IsRefused()
    {
        var png = PngWriter.Encode(Fill(Grey, [7]), Grey);
        byte[] icon = [0, 0, 1, 0, 1, 0, 8, 8, 0, 0, 1, 0, 8, 0, .. Little32(png.Length), 22, 0, 0, 0, .. png];
        Assert.That(Refuse(icon), Is.EqualTo("it is not a PNG, JPEG, GIF, BMP or WebP file"));
    }

    [Test]
    public void TryDecode_WrongSizeOfTheResult_Throws() =>
        Assert.That(() => ImageDecoder.TryDecode(TinyImages.Gif, Colour, new byte[5], out _), Throws.ArgumentException);

    private static byte[] Decode(byte[] file, ImageShape shape)
    {
        var pixels = new byte[shape.Size];
        Assert.That(ImageDecoder.TryDecode(file, shape, pixels, out var reason), Is.True, reason);
        return pixels;
    }

    private static string Refuse(byte[] file)
    {
        Assert.That(ImageDecoder.TryDecode(file, Colour, new byte[Colour.Size], out var reason), Is.False);
        return reason!;
    }

    private static byte[] Noise()
    {
        var pixels = new byte[Noisy.Size];
        new Random(3).NextBytes(pixels);
        return pixels;
    }

    private static byte[] Fill(ImageShape shape, byte[] colour) =>
        [.. Enumerable.Range(0, shape.Size).Select(at => colour[at % colour.Length])];
}
