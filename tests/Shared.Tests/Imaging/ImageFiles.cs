using System.Buffers.Binary;
using System.IO.Compression;
using MlExperiments.Shared.Imaging;
using SkiaSharp;

namespace MlExperiments.Shared.Tests.Imaging;

/// <summary>Builds image files, sound and hostile ones.</summary>
internal static class ImageFiles
{
    private static readonly byte[] PngSignature = [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>A PNG, JPEG or (lossless) WebP of uint8 <c>[h, w, 3]</c> pixels, which are said to be in the profile's colour space.</summary>
    public static byte[] Encode(byte[] pixels, ImageShape shape, SKEncodedImageFormat format, SKColorSpace? profile = null)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(shape.Width, shape.Height, SKColorType.Rgba8888, SKAlphaType.Opaque, profile));
        for (var at = 0; at < shape.Width * shape.Height; at++)
            new byte[] { pixels[at * 3], pixels[(at * 3) + 1], pixels[(at * 3) + 2], 255 }.CopyTo(bitmap.GetPixelSpan()[(at * 4)..]);
        using var pixmap = bitmap.PeekPixels();
        using var data = format == SKEncodedImageFormat.Webp
            ? pixmap.Encode(new SKWebpEncoderOptions(SKWebpEncoderCompression.Lossless, 100))
            : pixmap.Encode(format, 100);
        return data!.ToArray();
    }

    /// <param name="rows">Each with its filter's byte before it.</param>
    /// <param name="chunks">Come before the pixels.</param>
    public static byte[] Png(int width, int height, byte depth, byte colorType, byte[] rows, params byte[][] chunks)
    {
        using var data = new MemoryStream();
        using (var compressor = new ZLibStream(data, CompressionLevel.Fastest, leaveOpen: true))
            compressor.Write(rows);
        return [.. PngSignature, .. Chunk("IHDR", [.. Big(width), .. Big(height), depth, colorType, 0, 0, 0]), .. chunks.SelectMany(chunk => chunk),
            .. Chunk("IDAT", data.ToArray()), .. Chunk("IEND", [])];
    }

    /// <summary>A PNG's chunk with its check sum.</summary>
    public static byte[] Chunk(string type, byte[] data)
    {
        byte[] content = [.. type.Select(letter => (byte)letter), .. data];
        var crc = ~0u;
        foreach (var value in content)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 0 ? crc >> 1 : 0xEDB88320 ^ (crc >> 1);
        }

        return [.. Big(data.Length), .. content, .. Big((int)~crc)];
    }

    public static byte[] Zlib(byte[] data)
    {
        using var compressed = new MemoryStream();
        using (var compressor = new ZLibStream(compressed, CompressionLevel.SmallestSize, leaveOpen: true))
            compressor.Write(data);
        return compressed.ToArray();
    }

    /// <summary>EXIF data with nothing but an orientation, 1 to 8.</summary>
    public static byte[] Exif(byte orientation) =>
        [.. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];

    public static byte[] WithExif(byte[] jpeg, byte orientation) => [0xFF, 0xD8, .. Segment(0xE1, [.. "Exif\0\0"u8, .. Exif(orientation)]), .. jpeg[2..]];

    public static byte[] Segment(byte marker, byte[] data) => [0xFF, marker, (byte)((data.Length + 2) >> 8), (byte)(data.Length + 2), .. data];

    /// <summary>A JPEG that says that it has another size.</summary>
    public static byte[] WithSize(byte[] jpeg, ushort width, ushort height)
    {
        var copy = jpeg.ToArray();
        var frame = copy.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]);
        BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(frame + 5), height);
        BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(frame + 7), width);
        return copy;
    }

    /// <summary>A GIF's beginning, with a palette of red 200, green 100, blue 50 and of blue.</summary>
    public static byte[] GifScreen(ushort width, ushort height) =>
        [.. "GIF89a"u8, .. Little(width), .. Little(height), 0x80, 0, 0, 200, 100, 50, 0, 0, 255];

    /// <summary>A frame in one of the palette's colours; of more than some thousand pixels, only the first ones are there.</summary>
    public static byte[] GifFrame(ushort left, ushort top, ushort width, ushort height, byte color)
    {
        // Codes of three bits. A "clear" (4) after every two pixels keeps them so short, and 5 is the end.
        var codes = new List<int>();
        for (var pixel = 0; pixel < Math.Min(width * (long)height, 4096); pixel++)
        {
            if (pixel % 2 == 0)
                codes.Add(4);
            codes.Add(color);
        }

        codes.Add(5);
        var bytes = new byte[((codes.Count * 3) + 7) / 8];
        for (var bit = 0; bit < codes.Count * 3; bit++)
            bytes[bit / 8] |= (byte)(((codes[bit / 3] >> (bit % 3)) & 1) << (bit % 8));
        return [(byte)',', .. Little(left), .. Little(top), .. Little(width), .. Little(height), 0, 2,
            .. bytes.Chunk(255).SelectMany(block => new[] { (byte)block.Length }.Concat(block)), 0];
    }

    /// <summary>An extension block that says nothing.</summary>
    public static byte[] GifComment(int length) =>
        [(byte)'!', 0xFE, .. Enumerable.Repeat((byte)' ', length).Chunk(255).SelectMany(block => new[] { (byte)block.Length }.Concat(block)), 0];

    public static byte[] Webp(params byte[][] chunks)
    {
        var length = chunks.Sum(chunk => chunk.Length) + 4;
        return [.. "RIFF"u8, .. Little32(length), .. "WEBP"u8, .. chunks.SelectMany(chunk => chunk)];
    }

    public static byte[] WebpChunk(string type, byte[] data) =>
        [.. type.Select(letter => (byte)letter), .. Little32(data.Length), .. data, .. new byte[data.Length % 2]];

    /// <summary>The extended header: flags, and the canvas's size.</summary>
    public static byte[] WebpCanvas(byte flags, int width, int height) =>
        WebpChunk("VP8X", [flags, 0, 0, 0, .. Little32(width - 1)[..3], .. Little32(height - 1)[..3]]);

    /// <summary>A lossless WebP's pixels, of which there is only the header.</summary>
    public static byte[] WebpLossless(int width, int height) =>
        WebpChunk("VP8L", [0x2F, .. Little32((width - 1) | ((height - 1) << 14)), 7, 16, 253, 143, 254, 7, 34, 162, 255, 1]);

    /// <summary>The chunks after the file header.</summary>
    public static byte[] WebpChunks(byte[] file) => file[12..];

    public static byte[] Little32(int value) => BitConverter.GetBytes(value);

    private static byte[] Little(ushort value) => BitConverter.GetBytes(value);

    private static byte[] Big(int value)
    {
        var bytes = BitConverter.GetBytes(value);
        Array.Reverse(bytes);
        return bytes;
    }
}
