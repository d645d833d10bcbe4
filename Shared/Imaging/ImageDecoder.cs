using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using SkiaSharp;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Turns image files into what training and prediction take: PNG, JPEG, GIF, BMP and WebP, decoded by Skia.
/// <list type="bullet">
/// <item>An image of the wanted size comes through exactly. Others are stretched to it, each pixel the mean of the area that it covers.</item>
/// <item>Transparent pixels become white, as on a page or in a viewer: most transparent images are dark drawings.</item>
/// <item>Grey is the luma of ITU-R BT.601, with the same rounding as Pillow's <c>convert("L")</c>.</item>
/// <item>Photos become upright: the EXIF orientation of JPEG and WebP files is applied, as browsers do.</item>
/// <item>Of an animation, the first frame is taken, on the animation's canvas.</item>
/// <item>Of 16 bits per channel, the upper 8 are taken.</item>
/// <item>Colour profiles and gamma are not applied: samples come through as stored.</item>
/// <item>Files that are cut short are refused, so that no model is trained on half an image. All pixels have to be there; a JPEG needs its end marker, too.</item>
/// </list>
/// </summary>
public static class ImageDecoder
{
    /// <summary>The largest image that is decoded, in pixels: decoding takes up to 12 bytes for each.</summary>
    public const int MaxPixels = 25_000_000;

    /// <summary>The longest side that is decoded, in pixels.</summary>
    public const int MaxSide = 16_384;

    // A progressive JPEG of a few kilobytes can ask for thousands of passes over the whole image.
    private const long MaxScannedPixels = 500_000_000;

    // Above this, one image at a time: the memory of one large image is what this process has to spare.
    private const int LargePixels = 4_000_000;
    private static readonly Lock Large = new();

    private const string CutShort = "the file is cut short";
    private const string Jpeg = "image/jpeg";

    /// <inheritdoc cref="TryDecode(ReadOnlySpan{byte}, ImageShape, Span{byte}, out ImageInfo, out string?)"/>
    public static bool TryDecode(ReadOnlySpan<byte> file, ImageShape shape, Span<byte> pixels, [NotNullWhen(false)] out string? reason) =>
        TryDecode(file, shape, pixels, out _, out reason);

    /// <summary>Decodes a file and resizes it to <paramref name="shape"/>. Images that are too large are refused before they take memory.</summary>
    /// <param name="pixels">Receives uint8 <c>[h, w, c]</c>: <c>shape.Size</c> bytes.</param>
    /// <param name="info">Format and size of the file's image.</param>
    /// <param name="reason">Where false: why, in words that go after the file's name.</param>
    /// <exception cref="ArgumentException">The pixels have another size than the shape.</exception>
    public static unsafe bool TryDecode(
        ReadOnlySpan<byte> file, ImageShape shape, Span<byte> pixels, out ImageInfo info, [NotNullWhen(false)] out string? reason)
    {
        if (pixels.Length != shape.Size)
            throw new ArgumentException($"{shape.Size} bytes are needed for {shape}, not {pixels.Length}.", nameof(pixels));
        info = default;
        if (MediaType(file) is not { } mediaType)
        {
            reason = file.IsEmpty ? "the file is empty" : "it is not a PNG, JPEG, GIF, BMP or WebP file";
            return false;
        }

        fixed (byte* start = file)
        {
            using var data = SKData.Create((nint)start, file.Length);
            using var codec = SKCodec.Create(new SKMemoryStream(data), out _);
            if (codec is null)
            {
                reason = "its header is damaged or cut short";
                return false;
            }

            var stored = GetInfo(codec);
            info = SwapsSides(codec.EncodedOrigin) ? new(mediaType, stored.Height, stored.Width) : new(mediaType, stored.Width, stored.Height);
            if (stored.Width > MaxSide || stored.Height > MaxSide || PixelsOf(stored) > MaxPixels)
            {
                reason = $"it has {info.Width} x {info.Height} pixels; at most {MaxPixels / 1_000_000} million are accepted, and at most {MaxSide} on a side";
                return false;
            }

            reason = mediaType == Jpeg ? FindJpegProblem(file, info) : null;
            if (reason is not null)
                return false;

            if (PixelsOf(stored) <= LargePixels)
                return Decode(codec, stored, shape, pixels, out reason);
            lock (Large)
                return Decode(codec, stored, shape, pixels, out reason);
        }
    }

    private static string? FindJpegProblem(ReadOnlySpan<byte> file, ImageInfo info)
    {
        if (!JpegMarkers.HasEnd(file, out var scans))
            return CutShort;
        return (long)scans * info.Width * info.Height > MaxScannedPixels
            ? $"the JPEG asks for {scans} passes over its {info.Width} x {info.Height} pixels, which are too many to decode"
            : null;
    }

    // Other formats that Skia supports are refused.
    private static string? MediaType(ReadOnlySpan<byte> file) =>
        file.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G']) ? "image/png"
        : file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8]) ? Jpeg
        : file.StartsWith("GIF8"u8) ? "image/gif"
        : file.StartsWith("BM"u8) ? "image/bmp"
        : file.StartsWith("RIFF"u8) && file.Length >= 12 && file[8..].StartsWith("WEBP"u8) ? "image/webp"
        : null;

    // What Skia decodes into, with the size that is checked. There is no colour space, so that Skia converts no colours.
    private static SKImageInfo GetInfo(SKCodec codec)
    {
        var info = codec.Info;
        info.ColorSpace?.Dispose();
        return new SKImageInfo(
            info.Width,
            info.Height,
            info.ColorType == SKColorType.Gray8 ? SKColorType.Gray8 : SKColorType.Rgba8888,
            info.IsOpaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul);
    }

    private static long PixelsOf(SKImageInfo info) => (long)info.Width * info.Height;

    private static unsafe bool Decode(SKCodec codec, SKImageInfo stored, ImageShape shape, Span<byte> pixels, [NotNullWhen(false)] out string? reason)
    {
        var buffer = NativeMemory.Alloc((nuint)stored.BytesSize64);
        try
        {
            reason = codec.GetPixels(stored, (nint)buffer) switch
            {
                SKCodecResult.Success => null,
                SKCodecResult.IncompleteInput => CutShort,
                _ => "its data is damaged, cut short or of a kind that can't be decoded",
            };
            if (reason is not null)
                return false;
            var source = new Span<byte>(buffer, stored.BytesSize);
            if (!stored.IsOpaque)
                PutOnWhite(source);
            Resize(source, new ImageShape(stored.Width, stored.Height, stored.BytesPerPixel), codec.EncodedOrigin, shape, pixels);
            return true;
        }
        finally
        {
            NativeMemory.Free(buffer);
        }
    }

    private static void PutOnWhite(Span<byte> rgba)
    {
        for (var at = 0; at < rgba.Length; at += 4)
        {
            int alpha = rgba[at + 3];
            if (alpha == 255)
                continue;
            for (var channel = at; channel < at + 3; channel++)
                rgba[channel] = (byte)(((rgba[channel] * alpha) + (255 * (255 - alpha)) + 127) / 255);
        }
    }

    private static void Resize(ReadOnlySpan<byte> source, ImageShape from, SKEncodedOrigin origin, ImageShape shape, Span<byte> pixels)
    {
        var (width, height) = SwapsSides(origin) ? (shape.Height, shape.Width) : (shape.Width, shape.Height);
        var resized = new ImageShape(width, height, from.Channels == 1 ? 1 : 3);
        var rented = ArrayPool<byte>.Shared.Rent(resized.Size);
        BoxFilter.Resize(source, from, rented, resized);
        MakeUpright(rented, resized, origin, pixels, shape);
        ArrayPool<byte>.Shared.Return(rented);
    }

    // The origins are named by where the stored image's first row and first column belong: RightTop has its first row on the right.
    private static bool SwapsSides(SKEncodedOrigin origin) =>
        origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;

    private static void MakeUpright(ReadOnlySpan<byte> from, ImageShape resized, SKEncodedOrigin origin, Span<byte> pixels, ImageShape shape)
    {
        var swapsSides = SwapsSides(origin);
        var lastRowFirst = origin is SKEncodedOrigin.BottomLeft or SKEncodedOrigin.BottomRight or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom;
        var lastColumnFirst = origin is SKEncodedOrigin.TopRight or SKEncodedOrigin.BottomRight or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;
        for (var y = 0; y < resized.Height; y++)
        {
            var row = lastRowFirst ? resized.Height - 1 - y : y;
            for (var x = 0; x < resized.Width; x++)
            {
                var column = lastColumnFirst ? resized.Width - 1 - x : x;
                var pixel = swapsSides ? (column * shape.Width) + row : (row * shape.Width) + column;
                Convert(from[..resized.Channels], pixels.Slice(pixel * shape.Channels, shape.Channels));
                from = from[resized.Channels..];
            }
        }
    }

    private static void Convert(ReadOnlySpan<byte> from, Span<byte> to)
    {
        // 0.299, 0.587 and 0.114 in 1/65536; they add up to 1.
        if (from.Length == 1)
            to.Fill(from[0]);
        else if (to.Length == 1)
            to[0] = (byte)(((from[0] * 19595) + (from[1] * 38470) + (from[2] * 7471) + 0x8000) >> 16);
        else
            from.CopyTo(to);
    }
}
