using System.IO.Compression;
using Npgsql;
using NpgsqlTypes;

namespace MlExperiments.Api.Infrastructure;

/// <summary>One request, as its key names it.</summary>
/// <param name="Path">In lower case, as routing takes it.</param>
/// <param name="Fingerprint">Of what it asks for.</param>
internal sealed record KeyedRequest(string Key, string Path, byte[] Fingerprint)
{
    /// <summary>Of this sending of it: only it renews, answers and releases.</summary>
    public Guid Owner { get; } = Guid.CreateVersion7();
}

/// <param name="Body">Null where there is none, or was too long to be kept.</param>
internal sealed record StoredAnswer(int Status, string? ContentType, string? Location, byte[]? Body);

internal enum Reservation
{
    /// <summary>Nobody has carried the request out, and nobody else does now.</summary>
    Mine,

    /// <summary>It is being carried out.</summary>
    UnderWay,

    /// <summary>The key belongs to a request that asks for something else.</summary>
    OfAnother,

    Answered,
}

/// <summary>
/// The keys of the last 24 hours. A request under way holds its key by a lease, by the database's clock: should its process die, the same request sent
/// again takes over.
/// </summary>
internal sealed class IdempotencyKeys(NpgsqlDataSource database)
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan RenewEvery = Lease / 3;

    private static readonly TimeSpan KeptFor = TimeSpan.FromHours(24);

    /// <summary>Packed: ten thousand experiments are a tenth of it.</summary>
    private const int MaxBodyBytes = 4 * 1024 * 1024;

    // One insertion removes more than it adds, so that nothing piles up.
    private const int RemovedAtOnce = 100;

    public async Task<(Reservation Reservation, StoredAnswer? Answer)> ReserveAsync(KeyedRequest request, CancellationToken cancellationToken)
    {
        await using (var reserving = database.CreateBatch())
        {
            reserving.BatchCommands.Add(new NpgsqlBatchCommand(
                """
                DELETE FROM idempotency_keys WHERE (key, path) IN (
                    SELECT key, path FROM idempotency_keys WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
                """)
            {
                Parameters = { new() { Value = RemovedAtOnce } },
            });
            reserving.BatchCommands.Add(new NpgsqlBatchCommand(
                """
                INSERT INTO idempotency_keys (key, path, owner, fingerprint, lease_until, expires_at) VALUES ($1, $2, $3, $4, now() + $5, now() + $6)
                ON CONFLICT (key, path) DO UPDATE SET
                    owner = excluded.owner, fingerprint = excluded.fingerprint, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
                    status = NULL, content_type = NULL, location = NULL, body = NULL
                WHERE idempotency_keys.expires_at < now()
                   OR (idempotency_keys.lease_until < now() AND idempotency_keys.fingerprint = excluded.fingerprint)
                RETURNING owner
                """)
            {
                Parameters =
                {
                    new() { Value = request.Key }, new() { Value = request.Path }, new() { Value = request.Owner }, new() { Value = request.Fingerprint },
                    new() { Value = Lease }, new() { Value = KeptFor },
                },
            });
            if (await reserving.ExecuteScalarAsync(cancellationToken) is not null)
                return (Reservation.Mine, null);
        }

        await using var reading = Command(request, "SELECT fingerprint, status, content_type, location, body FROM idempotency_keys WHERE key = $1 AND path = $2", false);
        await using var reader = await reading.ExecuteReaderAsync(cancellationToken);
        // Released since: whoever asks in a moment gets it.
        if (!await reader.ReadAsync(cancellationToken))
            return (Reservation.UnderWay, null);
        if (!reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(request.Fingerprint))
            return (Reservation.OfAnother, null);
        return reader.IsDBNull(1)
            ? (Reservation.UnderWay, null)
            : (Reservation.Answered, new StoredAnswer(reader.GetInt32(1), Text(2), Text(3), reader.IsDBNull(4) ? null : Unpack(reader.GetFieldValue<byte[]>(4))));

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    public async Task RenewAsync(KeyedRequest request, CancellationToken cancellationToken)
    {
        await using var renewing = Command(
            request, "UPDATE idempotency_keys SET lease_until = now() + $4 WHERE key = $1 AND path = $2 AND owner = $3 AND status IS NULL", true);
        renewing.Parameters.AddWithValue(Lease);
        await renewing.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task AnswerAsync(KeyedRequest request, StoredAnswer answer, CancellationToken cancellationToken)
    {
        await using var storing = Command(
            request,
            """
            UPDATE idempotency_keys SET status = $4, content_type = $5, location = $6, body = $7, lease_until = NULL
            WHERE key = $1 AND path = $2 AND owner = $3 AND status IS NULL
            """,
            true);
        storing.Parameters.AddWithValue(answer.Status);
        storing.Parameters.Add(new NpgsqlParameter { Value = (object?)answer.ContentType ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        storing.Parameters.Add(new NpgsqlParameter { Value = (object?)answer.Location ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        storing.Parameters.Add(new NpgsqlParameter
        {
            Value = answer.Body is { } body && Pack(body) is { Length: <= MaxBodyBytes } packed ? packed : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea,
        });
        await storing.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Forgets a request that was not carried out: sent again, it is a new one.</summary>
    public async Task ReleaseAsync(KeyedRequest request, CancellationToken cancellationToken)
    {
        await using var releasing = Command(request, "DELETE FROM idempotency_keys WHERE key = $1 AND path = $2 AND owner = $3 AND status IS NULL", true);
        await releasing.ExecuteNonQueryAsync(cancellationToken);
    }

    private NpgsqlCommand Command(KeyedRequest request, string sql, bool ofOwner)
    {
        var command = database.CreateCommand(sql);
        command.Parameters.AddWithValue(request.Key);
        command.Parameters.AddWithValue(request.Path);
        if (ofOwner)
            command.Parameters.AddWithValue(request.Owner);
        return command;
    }

    private static byte[] Pack(byte[] body)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(body);
        return packed.ToArray();
    }

    private static byte[] Unpack(byte[] packed)
    {
        using var gzip = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        using var body = new MemoryStream();
        gzip.CopyTo(body);
        return body.ToArray();
    }
}
