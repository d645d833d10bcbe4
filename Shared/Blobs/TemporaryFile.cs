using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Blobs;

/// <summary>Bytes that are too many for memory, on disk until disposed of: appended at the end, read anywhere. Not for several threads at once.</summary>
public sealed class TemporaryFile : IDisposable
{
    private readonly SafeFileHandle _handle;

    /// <param name="folder">Is made where it is missing.</param>
    public TemporaryFile(string folder)
    {
        Directory.CreateDirectory(folder);
        // Gone from the folder with the handle, also when the process is killed between the two.
        var path = Path.Combine(folder, $"{Guid.NewGuid():N}.tmp");
        _handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete);
        File.Delete(path);
    }

    /// <summary>Bytes.</summary>
    public long Length { get; private set; }

    /// <returns>Where the bytes begin.</returns>
    public long Append(ReadOnlySpan<byte> bytes)
    {
        var offset = Length;
        RandomAccess.Write(_handle, bytes, offset);
        Length += bytes.Length;
        return offset;
    }

    /// <exception cref="ArgumentOutOfRangeException">The range is not within the file.</exception>
    public Stream OpenRead(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length - offset);
        return new FileRangeStream(_handle, offset, length, ownsHandle: false);
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        RandomAccess.SetLength(_handle, 0);
        Length = 0;
    }

    public void Dispose() => _handle.Dispose();
}
