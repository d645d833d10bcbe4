using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Leaves a PNG the chunks that make its pixels. The others (profiles, texts, times) can't change what is decoded here, may hold
/// compressed data of any size, and make libpng write warnings to standard error that libgd does not let us turn off.
/// </summary>
internal static class PngChunks
{
    private const int SignatureLength = 8;

    /// <summary>Length, type and check sum: what a chunk has beside its data.</summary>
    private const int Overhead = 12;

    /// <param name="kept">The chunks that count; null where the file has no others.</param>
    public static bool TryKeepPixels(ReadOnlySpan<byte> png, out byte[]? kept, [NotNullWhen(false)] out string? reason)
    {
        kept = null;
        reason = null;
        var (at, keptLength) = (SignatureLength, SignatureLength);
        while (TryReadChunk(png, at, out var length, out var counts))
        {
            if (counts)
                keptLength += length;
            var last = png[(at + 4)..].StartsWith("IEND"u8);
            at += length;
            if (!last)
                continue;
            if (keptLength != at)
                kept = Keep(png[..at], keptLength);
            return true;
        }

        reason = "the PNG is cut short";
        return false;
    }

    private static byte[] Keep(ReadOnlySpan<byte> png, int keptLength)
    {
        var kept = new byte[keptLength];
        png[..SignatureLength].CopyTo(kept);
        var (at, to) = (SignatureLength, SignatureLength);
        while (TryReadChunk(png, at, out var length, out var counts))
        {
            if (counts)
            {
                png.Slice(at, length).CopyTo(kept.AsSpan(to));
                to += length;
            }

            at += length;
        }

        return kept;
    }

    private static bool TryReadChunk(ReadOnlySpan<byte> png, int at, out int length, out bool counts)
    {
        (length, counts) = (0, false);
        if (png.Length - at < Overhead)
            return false;
        var dataLength = BinaryPrimitives.ReadUInt32BigEndian(png[at..]);
        if (dataLength > png.Length - at - Overhead)
            return false;
        length = (int)dataLength + Overhead;
        var type = png.Slice(at + 4, 4);
        // Upper case: a chunk that a decoder has to know. Transparency is the only other one that shows.
        counts = char.IsAsciiLetterUpper((char)type[0]) || type.SequenceEqual("tRNS"u8);
        return true;
    }
}
