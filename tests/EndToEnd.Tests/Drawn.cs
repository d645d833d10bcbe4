using System.IO.Compression;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>Images that are drawn here.</summary>
internal static class Drawn
{
    /// <summary>A zip with a folder for each digit.</summary>
    public static MemoryStream Digits(int perDigit)
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            for (var digit = 0; digit < 10; digit++)
            {
                for (var variant = 0; variant < perDigit; variant++)
                {
                    using var entry = archive.CreateEntry($"{digit}/{variant}.png", CompressionLevel.NoCompression).Open();
                    entry.Write(DigitPainter.PaintPng(digit, variant));
                }
            }
        }

        stream.Position = 0;
        return stream;
    }
}
