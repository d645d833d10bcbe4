namespace MlExperiments.Shared.Imaging;

/// <summary>What a model's images become before training: uint8 <c>[height, width, channels]</c>.</summary>
/// <param name="Width">Pixels, 8 to 224.</param>
/// <param name="Height">Pixels, 8 to 224.</param>
/// <param name="Channels">1 (grey) or 3 (red, green, blue).</param>
public readonly record struct ImageShape(int Width, int Height, int Channels)
{
    public const int MinSide = 8;
    public const int MaxSide = 224;

    /// <summary>Whether all three are in their ranges.</summary>
    public bool IsValid => Width is >= MinSide and <= MaxSide && Height is >= MinSide and <= MaxSide && Channels is 1 or 3;

    /// <summary>Bytes of one image.</summary>
    public int Size => Width * Height * Channels;
}
