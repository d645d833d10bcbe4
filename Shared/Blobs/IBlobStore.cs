namespace MlExperiments.Shared.Blobs;

/// <summary>
/// Immutable byte sequences, named by the SHA-256 of their content. Whoever knows a hash reads the bytes that it promises,
/// or learns that there are none.
/// </summary>
public interface IBlobStore
{
    /// <summary>
    /// Stores the stream's bytes and returns when they are durable. Storing what is there already changes nothing.
    /// </summary>
    Task<BlobReference> PutAsync(Stream content, CancellationToken cancellationToken);

    /// <summary>Opens a blob for reading, from <paramref name="offset"/> on for <paramref name="length"/> bytes (null: to the end).</summary>
    /// <exception cref="BlobNotFoundException">There is no such blob.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the blob.</exception>
    /// <exception cref="ArgumentException">Not a hash; so do all calls that take one.</exception>
    Task<Stream> OpenReadAsync(string hash, long offset, long? length, CancellationToken cancellationToken);

    /// <summary>A file on this machine with the blob's bytes, for programs that map it into memory; only to be read.</summary>
    /// <exception cref="BlobNotFoundException">There is no such blob.</exception>
    Task<string> GetPathAsync(string hash, CancellationToken cancellationToken);

    Task<bool> ExistsAsync(string hash, CancellationToken cancellationToken);

    /// <summary>Removes a blob; one that is not there is no error.</summary>
    Task DeleteAsync(string hash, CancellationToken cancellationToken);

    /// <summary>The blobs that were last stored before a time, in no order. Storing a blob again makes it new.</summary>
    IAsyncEnumerable<BlobReference> ListAsync(DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Removes a blob unless it was stored again since that time.</summary>
    /// <returns>Whether it was removed.</returns>
    Task<bool> DeleteAsync(string hash, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Throws when blobs can't be written and read back now: what readiness checks ask.</summary>
    Task ProbeAsync(CancellationToken cancellationToken);
}

/// <param name="Hash">SHA-256, 64 lower-case hex digits.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct BlobReference(string Hash, long Length);

/// <summary>A hash that no blob has.</summary>
public sealed class BlobNotFoundException(string hash) : IOException($"There is no blob {hash}.")
{
    public string Hash { get; } = hash;
}
