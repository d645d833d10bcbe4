using System.CommandLine;
using System.Globalization;
using System.IO.Compression;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Cli;

/// <summary><c>digits</c>: draws a labelled set of digits to try things with, as a zip or as a folder per class.</summary>
internal static class DigitsVerb
{
    private const int MaxCount = 1_000_000;

    public static Command Create()
    {
        var output = new Option<string[]>("--output")
        {
            Description = "Where they go: a name that ends in .zip, or a folder; the same ones to each, where there are several",
            Required = true,
            AllowMultipleArgumentsPerToken = true,
        };
        var count = new Option<int>("--count") { Description = $"How many images, 10 to {MaxCount}; a tenth of each digit", DefaultValueFactory = _ => 2000 };
        var command = new Command("digits", "Draw a labelled set of digits, 28x28 PNG files") { output, count };
        command.SetAction(result => CommandLine.Guarded(() => Draw(result.GetValue(output)!, result.GetValue(count))));
        return command;
    }

    private static int Draw(string[] outputs, int count)
    {
        if (count is < 10 or > MaxCount) throw new InvalidDataException($"--count is {count}; it must be 10 to {MaxCount}.");
        foreach (var path in outputs.Select(Path.GetFullPath))
        {
            if (path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
                DrawZip(path, count);
            else
                DrawFolder(path, count);
            Console.WriteLine($"{count} images: {path}");
        }

        return 0;
    }

    private static void DrawZip(string path, int count)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var zip = new ZipArchive(File.Create(path), ZipArchiveMode.Create);
        foreach (var (name, png) in Images(count))
        {
            // PNG files are compressed already.
            using var entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
            entry.Write(png);
        }
    }

    private static void DrawFolder(string path, int count)
    {
        foreach (var (name, png) in Images(count))
        {
            var file = Path.Combine(path, name);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, png);
        }
    }

    private static IEnumerable<(string Name, byte[] Png)> Images(int count) => Enumerable.Range(0, count).Select(i =>
        (string.Create(CultureInfo.InvariantCulture, $"{i % 10}/{i / 10:D5}.png"), DigitPainter.PaintPng(i % 10, i / 10)));
}
