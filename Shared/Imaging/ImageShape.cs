namespace MlExperiments.Shared.Imaging;

/// <summary>What a model's images become before training: uint8 <c>[height, width, channels]</c>.</summary>
/// <param name="Width">Pixels, 8 to 224.</param>
/// <param name="Height">Pixels, 8 to 224.</param>
/// <param name="Channels">1 (grey) or 3 (red, green, blue).</param>
public readonly record struct ImageShape(int Width, int Height, int Channels)
{
    /// <summary>Bytes of one image.</summary>
    public int Size => Width * Height * Channels;
}
