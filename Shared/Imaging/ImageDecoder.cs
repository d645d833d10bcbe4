using System.Diagnostics.CodeAnalysis;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Turns image files into what training and prediction take. PNG, JPEG, GIF (first frame), BMP and WebP, decoded by libgd.
/// <para>
/// Transparent parts become white, as on a page or in a viewer: what is drawn on nothing is nearly always dark. Grey is the luma of
/// ITU-R BT.601, with the same rounding as Pillow's <c>convert("L")</c>. An image of the wanted size comes through exactly; others
/// are stretched to it, each pixel the mean of the area below it. Colour profiles and EXIF orientation are not applied.
/// </para>
/// </summary>
public static class ImageDecoder
{
    /// <summary>The largest image that is decoded, in pixels: libgd takes up to 10 bytes for each.</summary>
    public const int MaxPixels = 25_000_000;

    /// <summary>The longest side that is decoded, in pixels.</summary>
    public const int MaxSide = 16_384;

    // A progressive JPEG of a few kilobytes can ask for thousands of passes over the whole image.
    private const long MaxScannedPixels = 500_000_000;

    // Above this, one image at a time: the memory of one large image is what this process has to spare.
    private const int LargePixels = 4_000_000;
    private static readonly Lock Large = new();

    private const int White = 0xFFFFFF;

    /// <summary>Loads the native library, so that a service finds out at its start.</summary>
    /// <exception cref="ImageLibraryMissingException">It is not installed.</exception>
    public static void EnsureAvailable() => Gd.EnsureLoaded();

    /// <summary>Reads format and size from the header, without decoding, and refuses what is too large to decode.</summary>
    /// <param name="reason">Where false: why, in words that go after the file's name.</param>
    public static bool TryIdentify(ReadOnlySpan<byte> file, out ImageInfo info, [NotNullWhen(false)] out string? reason)
    {
        if (!ImageHeader.TryRead(file, out info, out reason))
            return false;
        if (info.Width > MaxSide || info.Height > MaxSide || info.Pixels > MaxPixels)
            reason = $"it has {info.Width} x {info.Height} pixels; at most {MaxPixels / 1_000_000} million are accepted, and at most {MaxSide} on a side";
        return reason is null;
    }

    /// <summary>Decodes a file and resizes it to <paramref name="shape"/>.</summary>
    /// <param name="pixels">Receives uint8 <c>[h, w, c]</c>: <c>shape.Size</c> bytes.</param>
    /// <param name="reason">Where false: why, in words that go after the file's name.</param>
    /// <exception cref="ArgumentException">The pixels have another size than the shape.</exception>
    /// <exception cref="ImageLibraryMissingException">libgd is not installed.</exception>
    public static bool TryDecode(ReadOnlySpan<byte> file, ImageShape shape, Span<byte> pixels, [NotNullWhen(false)] out string? reason)
    {
        if (pixels.Length != shape.Size)
            throw new ArgumentException($"{shape.Size} bytes are needed for {shape}, not {pixels.Length}.", nameof(pixels));
        EnsureAvailable();
        if (!TryIdentify(file, out var info, out reason))
            return false;
        if (info.Format == ImageFormat.Png)
        {
            if (!PngChunks.TryKeepPixels(file, out var kept, out reason))
                return false;
            if (kept is not null)
                file = kept;
        }

        if (info.Format == ImageFormat.Jpeg && CountScans(file) * info.Pixels > MaxScannedPixels)
        {
            reason = $"the JPEG asks for more passes over its {info.Width} x {info.Height} pixels than any camera or program writes";
            return false;
        }

        if (info.Pixels <= LargePixels)
            return Decode(file, info, shape, pixels, out reason);
        lock (Large)
            return Decode(file, info, shape, pixels, out reason);
    }

    // Within a scan's data 0xFF is always followed by 0x00, so that the two bytes are a marker (or a thumbnail's).
    private static long CountScans(ReadOnlySpan<byte> jpeg) => jpeg.Count((ReadOnlySpan<byte>)[0xFF, 0xDA]);

    private static unsafe bool Decode(
        ReadOnlySpan<byte> file, ImageInfo info, ImageShape shape, Span<byte> pixels, [NotNullWhen(false)] out string? reason)
    {
        nint source = 0, target = 0;
        try
        {
            fixed (byte* data = file)
            {
                source = info.Format switch
                {
                    ImageFormat.Png => Gd.CreateFromPng(file.Length, data),
                    ImageFormat.Jpeg => Gd.CreateFromJpeg(file.Length, data, 1),
                    ImageFormat.Gif => Gd.CreateFromGif(file.Length, data),
                    ImageFormat.Bmp => Gd.CreateFromBmp(file.Length, data),
                    _ => Gd.CreateFromWebp(file.Length, data),
                };
            }

            if (source == 0)
            {
                reason = $"its {info.Format.ToString().ToUpperInvariant()} data is damaged or of a kind that can't be decoded";
                return false;
            }

            target = Gd.CreateTrueColor(shape.Width, shape.Height);
            if (target == 0)
                throw new InsufficientMemoryException($"There is no memory for an image of {shape.Width} x {shape.Height} pixels.");
            Gd.GetClip(source, out _, out _, out var right, out var bottom);
            var (width, height) = (right + 1, bottom + 1);
            Gd.FillRectangle(target, 0, 0, shape.Width - 1, shape.Height - 1, White);
            if (width == shape.Width && height == shape.Height)
                Gd.Copy(target, source, 0, 0, 0, 0, width, height);
            else
                Gd.CopyResampled(target, source, 0, 0, 0, 0, shape.Width, shape.Height, width, height);
            Read(target, shape, pixels);
            reason = null;
            return true;
        }
        finally
        {
            if (source != 0)
                Gd.Destroy(source);
            if (target != 0)
                Gd.Destroy(target);
        }
    }

    private static void Read(nint image, ImageShape shape, Span<byte> pixels)
    {
        var at = 0;
        for (var y = 0; y < shape.Height; y++)
        {
            for (var x = 0; x < shape.Width; x++)
            {
                var color = Gd.GetPixel(image, x, y);
                int red = (color >> 16) & 0xFF, green = (color >> 8) & 0xFF, blue = color & 0xFF;
                if (shape.Channels == 1)
                {
                    // 0.299, 0.587 and 0.114 in 1/65536; they add up to 1, so that grey stays what it is.
                    pixels[at++] = (byte)(((red * 19595) + (green * 38470) + (blue * 7471) + 0x8000) >> 16);
                }
                else
                {
                    pixels[at++] = (byte)red;
                    pixels[at++] = (byte)green;
                    pixels[at++] = (byte)blue;
                }
            }
        }
    }
}
