using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using Npgsql;
using NpgsqlTypes;

namespace MlExperiments.Api.Images;

/// <summary>Fixes a model's images as they are now, for experiments to be bound to.</summary>
internal static class DataSetVersions
{
    // One data set in memory at a time: whoever waited finds it hashed.
    private static readonly SemaphoreSlim Hashing = new(1);

    /// <summary>What the version of the model's present images lists; stores nothing but its hash.</summary>
    /// <returns>The manifest, or else why there is none, as a sentence that says what to do.</returns>
    public static async Task<(DataSetManifest? Manifest, string? Reason)> ReadManifestAsync(
        ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        var revision = await db.Models.Where(model => model.Id == modelId).Select(model => model.ImagesRevision).SingleOrDefaultAsync(cancellationToken);
        DataSetManifest.TryCreate(await ReadImagesAsync(db, modelId, cancellationToken), out var manifest, out var reason);
        // Images that changed since the revision was read have another one by now, and their hash is left to whoever asks next.
        var hash = manifest?.Hash;
        await db.Models.Where(model => model.Id == modelId && model.ImagesRevision == revision && model.HashedRevision != revision)
            .ExecuteUpdateAsync(
                set => set.SetProperty(model => model.HashedRevision, revision).SetProperty(model => model.DataSetHash, hash), cancellationToken);
        return (manifest, reason);
    }

    /// <summary>Makes the model's hash that of its present images, where they have changed since it was made.</summary>
    public static async Task RefreshHashAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        if (await IsHashedAsync(db, modelId, cancellationToken))
            return;
        await Hashing.WaitAsync(cancellationToken);
        try
        {
            if (!await IsHashedAsync(db, modelId, cancellationToken))
                await ReadManifestAsync(db, modelId, cancellationToken);
        }
        finally
        {
            Hashing.Release();
        }
    }

    /// <summary>
    /// The version of these images: the stored one, or a new one; requests that race get the same. Only for what is going to be generated:
    /// a version without experiments says nothing.
    /// </summary>
    /// <returns>Null where the model was deleted meanwhile.</returns>
    public static async Task<DataSetVersion?> KeepAsync(
        ExperimentsDbContext db, IBlobStore blobs, Model model, DataSetManifest manifest, CancellationToken cancellationToken)
    {
        if (await FindAsync(db, model, manifest.Hash, cancellationToken) is { } stored)
            return stored;

        var blob = await StoreAsync(blobs, manifest, cancellationToken);
        var version = new DataSetVersion
        {
            ModelId = model.Id,
            Hash = manifest.Hash,
            ManifestBlob = blob.Hash,
            Classes = [.. manifest.Classes],
            TrainCount = manifest.TrainCount,
            ValidationCount = manifest.ValidationCount,
            TestCount = manifest.TestCount,
            CreatedAt = default,
        };
        // From the model's row: one that was deleted meanwhile gets no version, instead of an error.
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO data_set_versions (id, model_id, hash, manifest_blob, classes, train_count, validation_count, test_count, created_at)
            SELECT {version.Id}, models.id, {version.Hash}, {version.ManifestBlob}, {version.Classes},
                   {version.TrainCount}, {version.ValidationCount}, {version.TestCount}, now()
            FROM models WHERE models.id = {model.Id} FOR KEY SHARE
            ON CONFLICT (model_id, hash) DO NOTHING
            """,
            cancellationToken);
        return await FindAsync(db, model, manifest.Hash, cancellationToken);
    }

    /// <summary>All images of a model, without what training does not need.</summary>
    internal static async Task<List<ManifestImage>> ReadImagesAsync(
        ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken)
    {
        await db.Database.OpenConnectionAsync(cancellationToken);
        try
        {
            await using var command = new NpgsqlCommand(
                """
                SELECT images.sha256, images.label, images.split, images.pack_id, images.pack_offset, images.length, packs.blob_hash
                FROM images JOIN packs ON packs.id = images.pack_id WHERE images.model_id = $1
                """,
                (NpgsqlConnection)db.Database.GetDbConnection())
            {
                Parameters = { new() { Value = modelId, NpgsqlDbType = NpgsqlDbType.Uuid } },
            };
            var images = new List<ManifestImage>();
            // Few labels, splits and packs stand in very many rows: each is kept once.
            var texts = new Dictionary<string, string>(StringComparer.Ordinal);
            var packs = new Dictionary<Guid, string>();
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var label = reader.GetString(1);
                if (!texts.TryAdd(label, label))
                    label = texts[label];
                var packId = reader.GetGuid(3);
                if (!packs.TryGetValue(packId, out var pack))
                    packs.Add(packId, pack = reader.GetString(6));
                images.Add(new ManifestImage(
                    reader.GetFieldValue<byte[]>(0), label, ParseSplit(reader.GetString(2)), pack, reader.GetInt64(4), reader.GetInt32(5)));
            }

            return images;
        }
        finally
        {
            await db.Database.CloseConnectionAsync();
        }
    }

    private static Task<bool> IsHashedAsync(ExperimentsDbContext db, Guid modelId, CancellationToken cancellationToken) =>
        db.Models.AnyAsync(model => model.Id == modelId && model.HashedRevision == model.ImagesRevision, cancellationToken);

    private static ImageSplit ParseSplit(string word) => word switch
    {
        Splits.Train => ImageSplit.Train,
        Splits.Validation => ImageSplit.Validation,
        _ => ImageSplit.Test,
    };

    private static Task<DataSetVersion?> FindAsync(ExperimentsDbContext db, Model model, string hash, CancellationToken cancellationToken) =>
        db.DataSetVersions.AsNoTracking()
            .SingleOrDefaultAsync(version => version.ModelId == model.Id && version.Hash == hash, cancellationToken);

    private static async Task<BlobReference> StoreAsync(IBlobStore blobs, DataSetManifest manifest, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("mlexperiments-manifest-");
        try
        {
            var path = Path.Combine(folder.FullName, "manifest.safetensors");
            manifest.Save(path);
            await using var file = File.OpenRead(path);
            return await blobs.PutAsync(file, cancellationToken);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
