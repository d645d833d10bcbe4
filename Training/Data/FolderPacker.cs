using System.Security.Cryptography;
using System.Text;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Data;

/// <summary>Packs a folder's images into a data set, once for the same images and size.</summary>
internal static class FolderPacker
{
    // Both passes are bound by the files and the decoder; memory holds one image per thread.
    private static readonly ParallelOptions Parallelism = new() { MaxDegreeOfParallelism = Environment.ProcessorCount };

    /// <returns>The path of the packed data set.</returns>
    /// <exception cref="InvalidDataException">A file is no image, or a split would be empty.</exception>
    public static string Pack(IReadOnlyList<LabelledFile> files, ImageShape shape, string folder)
    {
        var hashes = new byte[files.Count][];
        Parallel.For(0, files.Count, Parallelism, i => hashes[i] = SHA256.HashData(File.ReadAllBytes(files[i].Path)));

        var names = files.Any(file => file.Split == Splits.Validation);
        var rows = files
            .Select((file, i) => new Row(file, Split(file, hashes[i], names), Convert.ToHexStringLower(hashes[i])))
            .OrderBy(row => Array.IndexOf(Order, row.Split))
            .ToList();
        var layout = Layout(rows, shape);

        var path = Path.Combine(folder, $"{layout.DataSetHash[..16]}-{shape.Width}x{shape.Height}x{shape.Channels}.safetensors");
        if (!File.Exists(path)) Write(path, layout, rows);
        return path;
    }

    private static readonly string[] Order = [Splits.Train, Splits.Validation, Splits.Test];

    private static string Split(LabelledFile file, byte[] hash, bool validationIsNamed) => file.Split switch
    {
        Splits.Validation or Splits.Test => file.Split,
        _ => !validationIsNamed && Splits.IsHeldOut(hash) ? Splits.Validation : Splits.Train,
    };

    private static PackedDataSetLayout Layout(List<Row> rows, ImageShape shape)
    {
        int Count(string split) => rows.Count(row => row.Split == split);
        if (Count(Splits.Train) == 0 || Count(Splits.Validation) == 0)
        {
            throw new InvalidDataException(
                $"Of {rows.Count} images, {Count(Splits.Train)} are for training and {Count(Splits.Validation)} for validation; both need some. "
                + "Add images, or name the validation images in a folder 'validation' beside 'train'.");
        }

        var classes = rows.Select(row => row.File.Label).Distinct().Order(StringComparer.Ordinal).ToList();
        var listing = string.Join('\n', rows.Select(row => $"{row.Hash} {row.Split} {row.File.Label}"));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(listing)));
        return new(shape, classes, Count(Splits.Train), Count(Splits.Validation), Count(Splits.Test), hash);
    }

    private static void Write(string path, PackedDataSetLayout layout, List<Row> rows)
    {
        var labels = layout.Classes.Select((name, label) => (name, label)).ToDictionary(pair => pair.name, pair => pair.label, StringComparer.Ordinal);
        using var writer = new PackedDataSetWriter(path, layout);
        string? refused = null;
        Parallel.For(
            0,
            rows.Count,
            Parallelism,
            () => new byte[layout.Shape.Size],
            (row, loop, pixels) =>
            {
                var file = rows[row].File;
                if (ImageDecoder.TryDecode(File.ReadAllBytes(file.Path), layout.Shape, pixels, out var reason))
                {
                    writer.Write(row, pixels, labels[file.Label]);
                }
                else
                {
                    Interlocked.CompareExchange(ref refused, $"{file.Path} can't be used: {reason}.", null);
                    loop.Stop();
                }

                return pixels;
            },
            _ => { });
        if (refused is not null) throw new InvalidDataException(refused);
        writer.Commit();
    }

    private sealed record Row(LabelledFile File, string Split, string Hash);
}
