using System.Security.Cryptography;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Data;

/// <summary>
/// Packs a folder's images into a data set, once for the same images and size. Rows, splits and hash are those that a service
/// gives the same images (<see cref="DataSetManifest"/>).
/// </summary>
internal static class FolderPacker
{
    // Both passes are bound by the files and the decoder; memory holds one image per thread.
    private static readonly ParallelOptions Parallelism = new() { MaxDegreeOfParallelism = Environment.ProcessorCount };

    /// <returns>The path of the packed data set.</returns>
    /// <exception cref="InvalidDataException">A file is no image, an image has two labels, or a split would be empty.</exception>
    public static string Pack(IReadOnlyList<LabelledFile> files, ImageShape shape, string folder)
    {
        if (!DataSetManifest.TryCreate(Read(files), out var manifest, out var reason)) throw new InvalidDataException(reason);
        var path = Path.Combine(folder, $"{manifest.Hash[..16]}-{shape.Width}x{shape.Height}x{shape.Channels}.safetensors");
        if (!File.Exists(path)) Write(path, manifest, shape);
        return path;
    }

    // Each image is its file's only one: the file is its pack.
    private static List<ManifestImage> Read(IReadOnlyList<LabelledFile> files)
    {
        var images = new ManifestImage[files.Count];
        Parallel.For(0, files.Count, Parallelism, i =>
        {
            var bytes = File.ReadAllBytes(files[i].Path);
            images[i] = new(SHA256.HashData(bytes), files[i].Label, Split(files[i].Split), files[i].Path, 0, bytes.Length);
        });

        var distinct = new Dictionary<string, ManifestImage>(images.Length, StringComparer.Ordinal);
        foreach (var image in images)
        {
            var hash = Convert.ToHexStringLower(image.Sha256);
            if (!distinct.TryAdd(hash, image) && distinct[hash].Label != image.Label)
                throw new InvalidDataException($"{distinct[hash].Pack} and {image.Pack} are the same image under two labels; remove one of them.");
        }

        return [.. distinct.Values];
    }

    private static ImageSplit Split(string? name) => name switch
    {
        Splits.Validation => ImageSplit.Validation,
        Splits.Test => ImageSplit.Test,
        _ => ImageSplit.Train,
    };

    private static void Write(string path, DataSetManifest manifest, ImageShape shape)
    {
        using var writer = new PackedDataSetWriter(
            path, new(shape, manifest.Classes, manifest.TrainCount, manifest.ValidationCount, manifest.TestCount, manifest.Hash));
        string? refused = null;
        Parallel.For(
            0,
            manifest.Count,
            Parallelism,
            () => new byte[shape.Size],
            (row, loop, pixels) =>
            {
                var file = manifest.Packs[manifest.Location(row).Pack];
                if (ImageDecoder.TryDecode(File.ReadAllBytes(file), shape, pixels, out var reason))
                {
                    writer.Write(row, pixels, manifest.Label(row));
                }
                else
                {
                    Interlocked.CompareExchange(ref refused, $"{file} can't be used: {reason}.", null);
                    loop.Stop();
                }

                return pixels;
            },
            _ => { });
        if (refused is not null) throw new InvalidDataException(refused);
        writer.Commit();
    }
}
