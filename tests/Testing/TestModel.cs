using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;
using Microsoft.Extensions.Options;
using System.Security.Cryptography;

namespace MlExperiments.Testing;

/// <summary>A model whose drawn digits are stored as an upload would store them.</summary>
public static class TestModel
{
    public static FolderBlobStore OpenBlobs(string folder) => new(Options.Create(new BlobOptions { Folder = folder }), TimeProvider.System);

    /// <param name="perClass">Images of each of the ten digits; a fifth of them validates.</param>
    public static async Task<Rows> AddWithDigitsAsync(TestDatabase database, string blobFolder, int perClass = 40)
    {
        var blobs = OpenBlobs(blobFolder);
        var folder = Directory.CreateTempSubdirectory("mlexperiments-test-");
        try
        {
            List<(byte[] Png, string Label)> drawn =
            [
                .. from digit in Enumerable.Range(0, 10)
                   from variant in Enumerable.Range(0, perClass)
                   select (DigitPainter.PaintPng(digit, variant), $"{digit}"),
            ];
            using var pack = new PackWriter(blobs, folder.FullName);
            List<(byte[] Png, string Label, long Offset)> stored = [];
            foreach (var (png, label) in drawn)
            {
                if (pack.TryAppend(png, out var offset))
                    stored.Add((png, label, offset));
            }

            var blob = await pack.CompleteAsync(CancellationToken.None);
            var images = stored
                .Select(image => new ManifestImage(SHA256.HashData(image.Png), image.Label, ImageSplit.Train, blob.Hash, image.Offset, image.Png.Length))
                .ToList();
            if (!DataSetManifest.TryCreate(images, out var manifest, out var reason))
                throw new InvalidOperationException(reason);
            var path = Path.Combine(folder.FullName, "manifest");
            manifest.Save(path);
            await using var file = File.OpenRead(path);
            var manifestBlob = await blobs.PutAsync(file, CancellationToken.None);
            return await Rows.AddAsync(database, model => new DataSetVersion
            {
                ModelId = model.Id,
                Hash = manifest.Hash,
                ManifestBlob = manifestBlob.Hash,
                Classes = [.. manifest.Classes],
                TrainCount = manifest.TrainCount,
                ValidationCount = manifest.ValidationCount,
                TestCount = manifest.TestCount,
                CreatedAt = TimeProvider.System.GetUtcNow(),
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
