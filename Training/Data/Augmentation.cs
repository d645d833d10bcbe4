using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Data;

/// <summary>
/// Shifts, rotates and scales the images of a training batch, each by amounts of its own that depend on the seed, the step and its place in
/// the batch. Pixels between others are interpolated (bilinear); what comes in from outside is black.
/// </summary>
internal sealed class Augmentation
{
    // Positions in the source as whole numbers, so that every processor finds the same: 16 bits after the point.
    private const int PointBits = 16;
    private const int WeightBits = 8;
    private const int One = 1 << WeightBits;

    private readonly TrajectoryParameters _parameters;
    private readonly ImageShape _shape;
    private readonly byte[] _source;

    private Augmentation(TrajectoryParameters parameters, ImageShape shape)
    {
        _parameters = parameters;
        _shape = shape;
        _source = new byte[shape.Size];
    }

    /// <summary>Null where nothing is changed.</summary>
    public static Augmentation? Create(TrajectoryParameters parameters, ImageShape shape) =>
        parameters is { AugmentShift: 0, AugmentRotate: 0, AugmentScale: 0 } ? null : new(parameters, shape);

    /// <summary>Changes a batch in place.</summary>
    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="step">From 0.</param>
    public void Apply(Span<byte> images, int step)
    {
        var draws = new Draws(_parameters.Seed, Purpose.Augmentation, step);
        for (var start = 0; start < images.Length; start += _shape.Size)
        {
            var image = images.Slice(start, _shape.Size);
            image.CopyTo(_source);
            Resample(_source, image, _shape, Draw(ref draws));
        }
    }

    /// <summary>The next image's move; as many draws whatever is asked for, so that a wider rotation changes no shift.</summary>
    public Move Draw(ref Draws draws) => new(
        draws.Next() * _parameters.AugmentShift * _shape.Width,
        draws.Next() * _parameters.AugmentShift * _shape.Height,
        draws.Next() * _parameters.AugmentRotate,
        1 + (draws.Next() * _parameters.AugmentScale));

    /// <summary>Writes the moved image.</summary>
    /// <param name="source">uint8 <c>[h, w, c]</c>.</param>
    /// <param name="target">Of the same size.</param>
    public static void Resample(ReadOnlySpan<byte> source, Span<byte> target, ImageShape shape, Move move)
    {
        // Each pixel asks where it comes from: back by the shift, then rotated and scaled back about the centre.
        var (sin, cos) = Math.SinCos(move.Degrees * Math.PI / 180);
        var (across, down) = (cos / move.Factor, sin / move.Factor);
        var (centreX, centreY) = ((shape.Width - 1) / 2.0, (shape.Height - 1) / 2.0);
        var (stepX, stepY) = (Whole(across), Whole(-down));
        for (var y = 0; y < shape.Height; y++)
        {
            var (fromX, fromY) = (-centreX - move.Right, y - centreY - move.Down);
            var sourceX = Whole(centreX + (across * fromX) + (down * fromY));
            var sourceY = Whole(centreY - (down * fromX) + (across * fromY));
            for (var x = 0; x < shape.Width; x++, sourceX += stepX, sourceY += stepY)
                Interpolate(source, target.Slice(((y * shape.Width) + x) * shape.Channels, shape.Channels), shape, sourceX, sourceY);
        }
    }

    private static void Interpolate(ReadOnlySpan<byte> source, Span<byte> pixel, ImageShape shape, int sourceX, int sourceY)
    {
        var (x, y) = (sourceX >> PointBits, sourceY >> PointBits);
        if (x < -1 || y < -1 || x >= shape.Width || y >= shape.Height)
        {
            pixel.Clear();
            return;
        }

        var (right, below) = ((sourceX >> (PointBits - WeightBits)) & (One - 1), (sourceY >> (PointBits - WeightBits)) & (One - 1));
        var corner = ((y * shape.Width) + x) * shape.Channels;
        var row = shape.Width * shape.Channels;
        var (hasLeft, hasRight, hasTop, hasBottom) = (x >= 0, x + 1 < shape.Width, y >= 0, y + 1 < shape.Height);
        for (var c = 0; c < pixel.Length; c++, corner++)
        {
            var top = hasTop ? ((hasLeft ? source[corner] : 0) * (One - right)) + ((hasRight ? source[corner + shape.Channels] : 0) * right) : 0;
            var bottom = hasBottom ? ((hasLeft ? source[corner + row] : 0) * (One - right)) + ((hasRight ? source[corner + row + shape.Channels] : 0) * right) : 0;
            pixel[c] = (byte)(((top * (One - below)) + (bottom * below) + (One * One / 2)) >> (2 * WeightBits));
        }
    }

    private static int Whole(double pixels) => (int)Math.Round(pixels * (1 << PointBits));

    /// <param name="Right">Pixels.</param>
    /// <param name="Down">Pixels.</param>
    /// <param name="Degrees">Clockwise.</param>
    /// <param name="Factor">1 keeps the size.</param>
    public readonly record struct Move(double Right, double Down, double Degrees, double Factor);
}
