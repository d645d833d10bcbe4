using System.IO.Compression;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Testing;

/// <summary>Uploads of digits that are drawn here.</summary>
public static class DrawnDigits
{
    /// <summary>A zip with a folder for each digit.</summary>
    /// <param name="first">The first variant; each digit has variants of its own.</param>
    public static MemoryStream Zip(int perDigit, int first = 0)
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (digit, variant, png) in Images(perDigit, first))
            {
                using var entry = archive.CreateEntry($"{digit}/{variant}.png", CompressionLevel.NoCompression).Open();
                entry.Write(png);
            }
        }

        stream.Position = 0;
        return stream;
    }

    /// <summary>What is in such a zip.</summary>
    public static IEnumerable<(int Digit, int Variant, byte[] Png)> Images(int perDigit, int first = 0) =>
        from digit in Enumerable.Range(0, 10)
        from variant in Enumerable.Range(first, perDigit)
        select (digit, variant, DigitPainter.PaintPng(digit, variant));
}
