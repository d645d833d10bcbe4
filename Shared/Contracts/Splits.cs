using System.Buffers.Binary;

namespace MlExperiments.Shared.Contracts;

/// <summary>The names of the splits, and which images are held out where an upload names no validation split.</summary>
public static class Splits
{
    public const string Train = "train";
    public const string Validation = "validation";
    public const string Test = "test";

    // A fifth of the images. A whole number, so that every process draws the line between the same two hashes.
    private const ulong FirstThatStays = ulong.MaxValue / 5 + 1;

    /// <summary>
    /// Whether an image belongs to the validation split: its hash, read as a fraction of 1, is below 0.2. It depends on the image alone, so images that come later move none.
    /// </summary>
    /// <param name="sha256">SHA-256 of the image file's bytes; the first 8 bytes count, big-endian.</param>
    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public static bool IsHeldOut(ReadOnlySpan<byte> sha256)
    {
        if (sha256.Length != 32) throw new ArgumentException($"A SHA-256 has 32 bytes, not {sha256.Length}.", nameof(sha256));
        return BinaryPrimitives.ReadUInt64BigEndian(sha256) < FirstThatStays;
    }
}
