using System.Numerics;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Draws digits as a hand might: light strokes on black, moved, turned, slanted and scaled a little, with noise. The same
/// digit and variant give the same pixels on every machine; it stands in for a data set in the demo and the tests.
/// </summary>
public static class DigitPainter
{
    /// <summary>Side of a painted image in pixels.</summary>
    public const int Side = 28;

    /// <summary>The shape of every painted image: 28 x 28, grey.</summary>
    public static readonly ImageShape Shape = new(Side, Side, 1);

    // Polylines in a box of 10 x 10, x to the right and y down; the digits' usual strokes.
    private static readonly float[][][] Strokes =
    [
        [[5, 0, 8, 1, 9, 5, 8, 9, 5, 10, 2, 9, 1, 5, 2, 1, 5, 0]],
        [[3, 2, 5.5f, 0, 5.5f, 10]],
        [[1.5f, 2.5f, 3, 0.5f, 6, 0, 8.5f, 2, 8, 4.5f, 1.5f, 10, 9, 10]],
        [[1.5f, 1, 5, 0, 8.5f, 2, 7.5f, 4.2f, 4.5f, 4.8f], [4.5f, 4.8f, 8, 5.8f, 8.8f, 8, 5.5f, 10, 1.5f, 9]],
        [[6, 0, 1, 6.5f, 9, 6.5f], [7, 3.5f, 7, 10]],
        [[8.5f, 0, 2, 0, 1.8f, 4.5f, 5.5f, 4, 8.7f, 6, 8, 9, 5, 10, 1.5f, 9]],
        [[7.5f, 0.5f, 4, 1.5f, 1.7f, 5, 1.8f, 8.5f, 5, 10, 8.3f, 8.7f, 8.5f, 6, 5.5f, 4.8f, 2, 6.2f]],
        [[1.5f, 0, 8.8f, 0, 4, 10]],
        [[5, 4.7f, 2, 3, 2.5f, 0.8f, 5, 0, 7.5f, 0.8f, 8, 3, 5, 4.7f, 1.5f, 7, 2, 9.3f, 5, 10, 8, 9.3f, 8.5f, 7, 5, 4.7f]],
        [[8, 3.8f, 4.8f, 5.2f, 1.7f, 3.8f, 2, 1.2f, 5, 0, 8, 1.3f, 8.2f, 4, 7.5f, 7.5f, 5, 10]],
    ];

    /// <summary>Paints one digit.</summary>
    /// <param name="digit">0 to 9.</param>
    /// <param name="variant">Any number: which of the digit's images.</param>
    /// <returns>uint8 <c>[28, 28, 1]</c>, 0 black to 255 white.</returns>
    public static byte[] Paint(int digit, int variant)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(digit);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(digit, 9);

        // A seeded Random gives the same sequence on every version of .NET.
        var random = new Random(unchecked((variant * 10) + digit));
        float Around(float centre, float spread) => centre + (spread * ((2 * random.NextSingle()) - 1));

        var placement = Matrix3x2.CreateTranslation(-5, -5)
            * Matrix3x2.CreateScale(Around(1.6f, 0.35f), Around(1.9f, 0.25f))
            * Matrix3x2.CreateSkew(Around(0.05f, 0.25f), 0)
            * Matrix3x2.CreateRotation(Around(0, 0.2f))
            * Matrix3x2.CreateTranslation(Around(13.5f, 2.5f), Around(13.5f, 2.5f));
        var radius = Around(1.3f, 0.5f);
        var ink = Around(215, 40);
        var noise = 30 * random.NextSingle();

        var segments = Segments(Strokes[digit], placement);
        var pixels = new byte[Shape.Size];
        for (var i = 0; i < pixels.Length; i++)
        {
            var point = new Vector2(i % Side, i / Side);
            var distance = segments.Min(segment => Distance(point, segment.From, segment.To));
            var cover = Math.Clamp(radius + 0.5f - distance, 0, 1);
            pixels[i] = (byte)Math.Clamp((cover * ink) + Around(0, noise), 0, 255);
        }

        return pixels;
    }

    /// <summary>The same as a PNG file's bytes.</summary>
    public static byte[] PaintPng(int digit, int variant) => PngWriter.Encode(Paint(digit, variant), Shape);

    private static List<(Vector2 From, Vector2 To)> Segments(float[][] polylines, Matrix3x2 placement)
    {
        var segments = new List<(Vector2, Vector2)>();
        foreach (var line in polylines)
        {
            for (var i = 0; i + 3 < line.Length; i += 2)
                segments.Add((Vector2.Transform(new(line[i], line[i + 1]), placement), Vector2.Transform(new(line[i + 2], line[i + 3]), placement)));
        }

        return segments;
    }

    private static float Distance(Vector2 point, Vector2 from, Vector2 to)
    {
        var along = to - from;
        var share = Math.Clamp(Vector2.Dot(point - from, along) / along.LengthSquared(), 0, 1);
        return Vector2.Distance(point, from + (share * along));
    }
}
