namespace MlExperiments.Shared.Blobs;

/// <summary>
/// Gathers many small byte sequences into blobs of up to <see cref="MaxLength"/> bytes: append until there is no room, complete, go on.
/// They wait on disk, not in memory.
/// </summary>
/// <param name="temporaryFolder">Where they wait.</param>
public sealed class PackWriter(IBlobStore store, string temporaryFolder) : IDisposable
{
    /// <summary>The most bytes of one pack; a longer sequence gets a pack of its own.</summary>
    public const long MaxLength = 64 * 1024 * 1024;

    private readonly TemporaryFile _file = new(temporaryFolder);

    /// <summary>Bytes in the pack that is being gathered.</summary>
    public long Length => _file.Length;

    /// <param name="offset">Where the bytes will be in the pack.</param>
    /// <returns>False where the pack has to be completed first.</returns>
    public bool TryAppend(ReadOnlySpan<byte> bytes, out long offset)
    {
        offset = 0;
        if (_file.Length > 0 && _file.Length + bytes.Length > MaxLength)
            return false;
        offset = _file.Append(bytes);
        return true;
    }

    /// <summary>Stores the pack and begins the next one.</summary>
    /// <exception cref="InvalidOperationException">Nothing was appended.</exception>
    public async Task<BlobReference> CompleteAsync(CancellationToken cancellationToken)
    {
        if (_file.Length == 0)
            throw new InvalidOperationException("An empty pack is not stored.");
        await using var content = _file.OpenRead(0, _file.Length);
        var reference = await store.PutAsync(content, cancellationToken);
        _file.Clear();
        return reference;
    }

    public void Dispose() => _file.Dispose();
}
