using System.Buffers;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Blobs;

/// <summary>
/// Blobs as files <c>ab/abcd...</c> in a folder, named by their first two digits and their hash. A file under that name is always
/// complete: it is written elsewhere, flushed and renamed.
/// </summary>
public sealed class FolderBlobStore : IBlobStore
{
    private const int BufferLength = 256 * 1024;
    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromDays(1);

    private readonly string _root;
    private readonly string _temporary;

    public FolderBlobStore(IOptions<BlobOptions> options, TimeProvider time)
    {
        _root = Path.GetFullPath(options.Value.Folder);
        _temporary = Path.GetFullPath(options.Value.TemporaryFolder);
        Directory.CreateDirectory(_temporary);
        // All of them now, durable before the first blob: of two writers of a folder's first blobs, one would else rely on the
        // other's flush.
        for (var first = 0; first < 256; first++)
            Directory.CreateDirectory(Path.Combine(_root, first.ToString("x2", CultureInfo.InvariantCulture)));
        Durable.FlushFolder(_root);
        DeleteAbandoned(time.GetUtcNow() - AbandonedAfter);
    }

    public async Task<BlobReference> PutAsync(Stream content, CancellationToken cancellationToken)
    {
        var path = Path.Combine(_temporary, Guid.NewGuid().ToString("N"));
        var renamed = false;
        try
        {
            var reference = await WriteAsync(path, content, cancellationToken);
            FailPoint.Hit("blob.written");
            var target = LocalPath(reference.Hash);
            // A file that is there has the same bytes: to replace it is as good, and leaves no moment for another to remove it.
            File.Move(path, target, overwrite: true);
            renamed = true;
            FailPoint.Hit("blob.renamed");
            Durable.FlushFolder(Path.GetDirectoryName(target)!);
            return reference;
        }
        finally
        {
            if (!renamed)
                File.Delete(path);
        }
    }

    public Task<Stream> OpenReadAsync(string hash, long offset, long? length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        var handle = Open(hash);
        try
        {
            var available = RandomAccess.GetLength(handle) - offset;
            var wanted = length ?? available;
            ArgumentOutOfRangeException.ThrowIfNegative(wanted, nameof(length));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(wanted, available, nameof(length));
            return Task.FromResult<Stream>(new FileRangeStream(handle, offset, wanted, ownsHandle: true));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    public Task<string> GetPathAsync(string hash, CancellationToken cancellationToken) =>
        File.Exists(LocalPath(hash)) ? Task.FromResult(LocalPath(hash)) : throw new BlobNotFoundException(hash);

    public Task<bool> ExistsAsync(string hash, CancellationToken cancellationToken) => Task.FromResult(File.Exists(LocalPath(hash)));

    public Task DeleteAsync(string hash, CancellationToken cancellationToken)
    {
        var path = LocalPath(hash);
        if (File.Exists(path))
            File.Delete(path);
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<BlobReference> ListAsync(DateTimeOffset before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var first = 0; first < 256; first++)
        {
            // A folder at a time, off the caller's thread: there may be many on a slow disk.
            var folder = new DirectoryInfo(Path.Combine(_root, first.ToString("x2", CultureInfo.InvariantCulture)));
            var blobs = await Task.Run(
                () => folder.EnumerateFiles()
                    .Where(file => BlobHash.IsValid(file.Name) && file.LastWriteTimeUtc < before.UtcDateTime)
                    .Select(file => new BlobReference(file.Name, file.Length)).ToList(),
                cancellationToken);
            foreach (var blob in blobs)
                yield return blob;
        }
    }

    public Task<bool> DeleteAsync(string hash, DateTimeOffset before, CancellationToken cancellationToken)
    {
        var path = LocalPath(hash);
        if (!File.Exists(path) || File.GetLastWriteTimeUtc(path) >= before.UtcDateTime)
            return Task.FromResult(false);
        // Out of the way first: whoever stores the same bytes meanwhile finds none, or has made these young again.
        var aside = Path.Combine(_temporary, Guid.NewGuid().ToString("N"));
        File.Move(path, aside);
        if (File.GetLastWriteTimeUtc(aside) < before.UtcDateTime)
        {
            File.Delete(aside);
            return Task.FromResult(true);
        }

        File.Move(aside, path, overwrite: true);
        return Task.FromResult(false);
    }

    public async Task ProbeAsync(CancellationToken cancellationToken)
    {
        var expected = RandomNumberGenerator.GetBytes(32);
        var reference = await PutAsync(new MemoryStream(expected), cancellationToken);
        try
        {
            var actual = new byte[expected.Length];
            await using var stream = await OpenReadAsync(reference.Hash, 0, null, cancellationToken);
            await stream.ReadExactlyAsync(actual, cancellationToken);
            if (!actual.AsSpan().SequenceEqual(expected))
                throw new IOException($"The folder {_root} gives back other bytes than were written.");
        }
        finally
        {
            await DeleteAsync(reference.Hash, CancellationToken.None);
        }
    }

    private static async Task<BlobReference> WriteAsync(string path, Stream content, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.Asynchronous);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferLength);
        try
        {
            long length = 0;
            while (await content.ReadAsync(buffer.AsMemory(), cancellationToken) is var count and > 0)
            {
                hash.AppendData(buffer, 0, count);
                await RandomAccess.WriteAsync(file, buffer.AsMemory(0, count), length, cancellationToken);
                length += count;
            }

            Durable.FlushFile(file, path);
            return new BlobReference(Convert.ToHexStringLower(hash.GetHashAndReset()), length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <exception cref="ArgumentException">Not a hash.</exception>
    private string LocalPath(string hash)
    {
        BlobHash.ThrowIfInvalid(hash);
        return Path.Combine(_root, hash[..2], hash);
    }

    private SafeFileHandle Open(string hash)
    {
        try
        {
            return File.OpenHandle(LocalPath(hash), options: FileOptions.Asynchronous);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BlobNotFoundException(hash);
        }
    }

    // What processes left that were killed while they wrote.
    private void DeleteAbandoned(DateTimeOffset before)
    {
        foreach (var path in Directory.EnumerateFiles(_temporary))
        {
            if (File.GetLastWriteTimeUtc(path) < before.UtcDateTime)
                File.Delete(path);
        }
    }
}
