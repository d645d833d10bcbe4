using System.Buffers.Binary;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Shared.Tests.Imaging;

public sealed class ImageDecoderTests
{
    private static readonly ImageShape Colour = new(8, 8, 3);
    private static readonly ImageShape Grey = new(8, 8, 1);

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
        var pixels = Decode(file, Colour);
        Assert.That(ImageDecoder.TryIdentify(file, out var info, out _), Is.True);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((info.Width, info.Height, info.MediaType), Is.EqualTo((8, 8, mediaType)));
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

    [Test]
    public void TryDecode_MorePassesThanAnyoneWrites_IsRefused()
    {
        var (start, height) = (TinyImages.Jpeg.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]), 5000);
        var file = TinyImages.Jpeg.Concat(Enumerable.Repeat(new byte[] { 0xFF, 0xDA }, 100).SelectMany(scan => scan)).ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(start + 5), (ushort)height);
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(start + 7), 5000);
        Assert.That(Refuse(file), Does.Contain("passes"));
    }

    [TestCase(5001, 5000)]
    [TestCase(16_385, 1)]
    [TestCase(int.MaxValue, int.MaxValue)]
    public void TryIdentify_TooLarge_IsRefusedWithItsSize(int width, int height)
    {
        var png = PngWriter.Encode(Fill(Grey, [0]), Grey);
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(16), width);
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(20), height);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ImageDecoder.TryIdentify(png, out _, out var reason), Is.False);
            Assert.That(reason, Does.Contain($"{width} x {height}"));
            Assert.That(Refuse(png), Is.EqualTo(reason));
        }
    }

    [TestCase("")]
    [TestCase("a text")]
    [TestCase("<svg xmlns=\"http://www.w3.org/2000/svg\"/>")]
    public void TryDecode_NoImage_IsRefused(string text) => Assert.That(Refuse(System.Text.Encoding.UTF8.GetBytes(text)), Is.Not.Empty);

    [Test]
    public void TryDecode_AnimatedWebp_IsRefusedWithAdvice()
    {
        byte[] file = [.. "RIFF"u8, 22, 0, 0, 0, .. "WEBPVP8X"u8, 10, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 7, 0, 0];
        Assert.That(Refuse(file), Does.Contain("animated"));
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

    private static byte[] Fill(ImageShape shape, byte[] colour) =>
        [.. Enumerable.Range(0, shape.Size).Select(at => colour[at % colour.Length])];
}
