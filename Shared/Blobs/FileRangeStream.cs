using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Blobs;

/// <summary>Reads a part of a file as if it were all of it. Streams on the same handle don't disturb each other.</summary>
/// <param name="ownsHandle">Whether disposing of the stream closes the file.</param>
internal sealed class FileRangeStream(SafeFileHandle handle, long offset, long length, bool ownsHandle) : ReadOnlyStream
{
    public override long Length => length;

    public override int Read(Span<byte> buffer)
    {
        var count = RandomAccess.Read(handle, buffer[..Fit(buffer.Length)], offset + Position);
        Position += count;
        return count;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await RandomAccess.ReadAsync(handle, buffer[..Fit(buffer.Length)], offset + Position, cancellationToken);
        Position += count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && ownsHandle)
            handle.Dispose();
        base.Dispose(disposing);
    }

    private int Fit(int wanted) => (int)Math.Clamp(length - Position, 0, wanted);
}
