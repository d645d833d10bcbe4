using System.Buffers.Binary;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using Npgsql;
using NpgsqlTypes;

namespace MlExperiments.Api.Images;

/// <summary>An image that waits for its pack to be complete.</summary>
internal sealed record NewImage(
    Guid Id, byte[] Sha256, string Label, ImageSplit Split, string FileName, long Offset, int Length, int Width, int Height, string MediaType);

/// <summary>The label and split of an image that is stored.</summary>
internal readonly record struct KnownImage(string Label, ImageSplit Split);

/// <summary>Reads and writes many image rows at once.</summary>
internal sealed class ImageRows(NpgsqlDataSource database)
{
    public Task<string> NormalizeAsync(string label, CancellationToken cancellationToken) => Texts.NormalizeAsync(database, label, cancellationToken);

    /// <summary>Those of the hashes that the model has.</summary>
    public async Task<Dictionary<Sha256Key, KnownImage>> FindAsync(Guid modelId, byte[][] hashes, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT sha256, label, split FROM images WHERE model_id = $1 AND sha256 = ANY ($2)");
        command.Parameters.Add(new() { Value = modelId, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = hashes, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea });
        var known = new Dictionary<Sha256Key, KnownImage>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var split = SplitWords.TryParse(reader.GetString(2), out var parsed) ? parsed : ImageSplit.Train;
            known.Add(new Sha256Key(reader.GetFieldValue<byte[]>(0)), new KnownImage(reader.GetString(1), split));
        }

        return known;
    }

    /// <summary>Inserts a pack and its images, in one transaction. Images that another upload inserted meanwhile are left out.</summary>
    /// <returns>The hashes of those that were inserted; null where there is no such model any more.</returns>
    public async Task<HashSet<Sha256Key>?> InsertAsync(
        Guid modelId, BlobReference pack, IEnumerable<NewImage> images, CancellationToken cancellationToken)
    {
        var rows = images.ToList();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await InsertPackAsync(connection, modelId, pack, cancellationToken) is not { } packId)
            return null;

        await using var command = new NpgsqlCommand(
            """
            INSERT INTO images (id, model_id, sha256, pack_id, pack_offset, length, label, split, file_name, width, height, media_type, created_at)
            SELECT id, $1, sha256, $2, pack_offset, length, label, split, file_name, width, height, media_type, now()
            FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                AS image (id, sha256, pack_offset, length, label, split, file_name, width, height, media_type)
            ON CONFLICT (model_id, sha256) DO NOTHING
            RETURNING sha256
            """,
            connection)
        {
            Parameters =
            {
                new() { Value = modelId },
                new() { Value = packId },
                Column(NpgsqlDbType.Uuid, image => image.Id),
                Column(NpgsqlDbType.Bytea, image => image.Sha256),
                Column(NpgsqlDbType.Bigint, image => image.Offset),
                Column(NpgsqlDbType.Integer, image => image.Length),
                Column(NpgsqlDbType.Text, image => image.Label),
                Column(NpgsqlDbType.Text, image => image.Split.Word()),
                Column(NpgsqlDbType.Text, image => image.FileName),
                Column(NpgsqlDbType.Integer, image => image.Width),
                Column(NpgsqlDbType.Integer, image => image.Height),
                Column(NpgsqlDbType.Text, image => image.MediaType),
            },
        };
        var inserted = new HashSet<Sha256Key>();
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                inserted.Add(new Sha256Key(reader.GetFieldValue<byte[]>(0)));
        }

        await transaction.CommitAsync(cancellationToken);
        return inserted;

        NpgsqlParameter Column<T>(NpgsqlDbType type, Func<NewImage, T> value) =>
            new() { Value = rows.Select(value).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | type };
    }

    private static async Task<Guid?> InsertPackAsync(
        NpgsqlConnection connection, Guid modelId, BlobReference pack, CancellationToken cancellationToken)
    {
        // The model's row first: it stays until the transaction ends, and whoever changes images waits here, where nothing else is locked yet.
        // A pack of the same bytes is the same pack.
        await using var command = new NpgsqlCommand(
            """
            WITH model AS (UPDATE models SET images_revision = images_revision + 1 WHERE id = $4 RETURNING id)
            INSERT INTO packs (id, blob_hash, length, created_at)
            SELECT $1, $2, $3, now() FROM model
            ON CONFLICT (blob_hash) DO UPDATE SET length = excluded.length
            RETURNING id
            """,
            connection)
        {
            Parameters =
            {
                new() { Value = Guid.CreateVersion7() },
                new() { Value = pack.Hash },
                new() { Value = pack.Length },
                new() { Value = modelId },
            },
        };
        return (Guid?)await command.ExecuteScalarAsync(cancellationToken);
    }
}

/// <summary>A SHA-256 that can be compared and looked up.</summary>
internal readonly record struct Sha256Key(UInt128 High, UInt128 Low)
{
    public Sha256Key(ReadOnlySpan<byte> sha256)
        : this(BinaryPrimitives.ReadUInt128BigEndian(sha256), BinaryPrimitives.ReadUInt128BigEndian(sha256[16..]))
    {
    }
}
