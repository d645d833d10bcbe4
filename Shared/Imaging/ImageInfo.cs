namespace MlExperiments.Shared.Imaging;

/// <summary>What an image file holds.</summary>
/// <param name="MediaType"><c>image/png</c>, <c>image/jpeg</c>, <c>image/gif</c>, <c>image/bmp</c> or <c>image/webp</c>.</param>
/// <param name="Width">Pixels, at least 1; of the upright image.</param>
/// <param name="Height">Pixels, at least 1; of the upright image.</param>
public readonly record struct ImageInfo(string MediaType, int Width, int Height);
