using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Reads format and size from an image's first bytes. It goes through them just as libgd and the libraries below it do, so that the
/// size which is checked here is the size which they allocate.
/// </summary>
internal static class ImageHeader
{
    private const string CutShort = "the file ends within its header";

    public static bool TryRead(ReadOnlySpan<byte> file, out ImageInfo info, [NotNullWhen(false)] out string? reason)
    {
        info = default;
        if (file.IsEmpty)
            reason = "the file is empty";
        else if (file.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A]))
            reason = ReadPng(file, out info);
        else if (file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8]))
            reason = ReadJpeg(file, out info);
        else if (file.StartsWith("GIF87a"u8) || file.StartsWith("GIF89a"u8))
            reason = ReadGif(file, out info);
        else if (file.StartsWith("BM"u8))
            reason = ReadBmp(file, out info);
        else if (file.Length >= 12 && file.StartsWith("RIFF"u8) && file[8..].StartsWith("WEBP"u8))
            reason = ReadWebp(file, out info);
        else
            reason = "it is not a PNG, JPEG, GIF, BMP or WebP file";
        if (reason is null && (info.Width <= 0 || info.Height <= 0))
            reason = "its header gives no width or height";
        return reason is null;
    }

    private static string? ReadPng(ReadOnlySpan<byte> file, out ImageInfo info)
    {
        info = default;
        if (file.Length < 33)
            return CutShort;
        if (!file[12..].StartsWith("IHDR"u8))
            return "the PNG does not begin with its header";
        // Bits per sample for each colour type of ISO/IEC 15948; libpng would refuse others too, but on standard error.
        ReadOnlySpan<byte> depths = file[25] switch
        {
            0 => [1, 2, 4, 8, 16],
            3 => [1, 2, 4, 8],
            2 or 4 or 6 => [8, 16],
            _ => [],
        };
        if (!depths.Contains(file[24]))
            return "the PNG has a colour type and depth that don't exist";
        info = new ImageInfo(ImageFormat.Png, BinaryPrimitives.ReadInt32BigEndian(file[16..]), BinaryPrimitives.ReadInt32BigEndian(file[20..]));
        return null;
    }

    private static string? ReadJpeg(ReadOnlySpan<byte> file, out ImageInfo info)
    {
        info = default;
        var at = 2;
        while (true)
        {
            // Like libjpeg: bytes before a marker are skipped, and so are repeated 0xFF and the stuffed 0xFF00.
            if (at >= file.Length || file[at..].IndexOf((byte)0xFF) is var skipped && skipped < 0)
                return CutShort;
            at += skipped;
            if (file[at..].IndexOfAnyExcept((byte)0xFF) is var fill && fill < 0)
                return CutShort;
            var marker = file[at + fill];
            at += fill + 1;
            switch (marker)
            {
                case 0x00 or 0x01 or (>= 0xD0 and <= 0xD7):
                    continue;
                case 0xD8 or 0xD9 or 0xDA:
                    return "the JPEG has no frame header before its data";
            }

            if (file.Length - at < 2)
                return CutShort;
            var length = BinaryPrimitives.ReadUInt16BigEndian(file[at..]);
            if (length < 2)
                return "the JPEG has a segment without length";
            // The start of a frame; C4, C8 and CC among them are tables and reserved.
            if (marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC))
            {
                if (file.Length - at < 8)
                    return CutShort;
                var height = BinaryPrimitives.ReadUInt16BigEndian(file[(at + 3)..]);
                var width = BinaryPrimitives.ReadUInt16BigEndian(file[(at + 5)..]);
                info = new ImageInfo(ImageFormat.Jpeg, width, height);
                return null;
            }

            at += length;
        }
    }

    private static string? ReadGif(ReadOnlySpan<byte> file, out ImageInfo info)
    {
        info = default;
        if (file.Length < 13)
            return CutShort;
        // The screen's size does not count: libgd makes the image as large as the first frame says.
        var at = 13 + ColorTableLength(file[10]);
        while (at < file.Length)
        {
            switch (file[at++])
            {
                case (byte)',':
                    if (file.Length - at < 9)
                        return CutShort;
                    info = new ImageInfo(
                        ImageFormat.Gif,
                        BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 4)..]),
                        BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 6)..]));
                    return null;
                case (byte)';':
                    return "the GIF has no frame";
                case (byte)'!':
                    at++;
                    while (at < file.Length && file[at] != 0)
                        at += 1 + file[at];
                    at++;
                    break;
                // libgd skips other bytes between blocks, and so does this loop.
            }
        }

        return CutShort;

        static int ColorTableLength(byte flags) => (flags & 0x80) == 0 ? 0 : 3 << ((flags & 7) + 1);
    }

    private static string? ReadBmp(ReadOnlySpan<byte> file, out ImageInfo info)
    {
        info = default;
        if (file.Length < 26)
            return CutShort;
        var headerLength = BinaryPrimitives.ReadInt32LittleEndian(file[14..]);
        switch (headerLength)
        {
            case 12:
                info = new ImageInfo(
                    ImageFormat.Bmp,
                    BinaryPrimitives.ReadInt16LittleEndian(file[18..]),
                    BinaryPrimitives.ReadInt16LittleEndian(file[20..]));
                return null;
            case 40 or 52 or 56 or 64 or 108 or 124:
                // A negative height says that the rows go from top to bottom.
                var height = BinaryPrimitives.ReadInt32LittleEndian(file[22..]);
                info = new ImageInfo(
                    ImageFormat.Bmp,
                    BinaryPrimitives.ReadInt32LittleEndian(file[18..]),
                    height < 0 ? unchecked(-height) : height);
                return null;
            default:
                return $"the BMP has a header of {headerLength} bytes, which no known version has";
        }
    }

    private static string? ReadWebp(ReadOnlySpan<byte> file, out ImageInfo info)
    {
        info = default;
        if (file.Length < 30)
            return CutShort;
        var chunk = file[12..];
        if (chunk.StartsWith("VP8 "u8))
        {
            info = new ImageInfo(
                ImageFormat.Webp,
                BinaryPrimitives.ReadUInt16LittleEndian(file[26..]) & 0x3FFF,
                BinaryPrimitives.ReadUInt16LittleEndian(file[28..]) & 0x3FFF);
            return null;
        }

        if (chunk.StartsWith("VP8L"u8))
        {
            var bits = BinaryPrimitives.ReadUInt32LittleEndian(file[21..]);
            info = new ImageInfo(ImageFormat.Webp, (int)(bits & 0x3FFF) + 1, (int)((bits >> 14) & 0x3FFF) + 1);
            return null;
        }

        if (!chunk.StartsWith("VP8X"u8))
            return "the WebP has no image";
        if ((file[20] & 0x02) != 0)
            return "it is an animated WebP, which can't be decoded; save one frame of it";
        info = new ImageInfo(ImageFormat.Webp, UInt24(file[24..]) + 1, UInt24(file[27..]) + 1);
        return null;

        static int UInt24(ReadOnlySpan<byte> bytes) => bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);
    }
}
