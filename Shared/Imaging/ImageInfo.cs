namespace MlExperiments.Shared.Imaging;

/// <summary>What an image file's header says.</summary>
/// <param name="Width">Pixels, at least 1; of a GIF, its first frame's.</param>
/// <param name="Height">Pixels, at least 1; of a GIF, its first frame's.</param>
public readonly record struct ImageInfo(ImageFormat Format, int Width, int Height)
{
    /// <summary><c>image/png</c> and its like.</summary>
    public string MediaType => Format switch
    {
        ImageFormat.Png => "image/png",
        ImageFormat.Jpeg => "image/jpeg",
        ImageFormat.Gif => "image/gif",
        ImageFormat.Bmp => "image/bmp",
        _ => "image/webp",
    };

    public long Pixels => (long)Width * Height;
}

public enum ImageFormat
{
    Png,
    Jpeg,
    Gif,
    Bmp,
    Webp,
}
