using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Blobs;

/// <summary>Reads a part of a file as if it were all of it. Streams on the same handle don't disturb each other.</summary>
/// <param name="ownsHandle">Whether disposing of the stream closes the file.</param>
internal sealed class FileRangeStream(SafeFileHandle handle, long offset, long length, bool ownsHandle) : Stream
{
    private long _position;

    public override bool CanRead => true;
    public override bool CanSeek => true;
    public override bool CanWrite => false;
    public override long Length => length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        var count = RandomAccess.Read(handle, buffer[..Fit(buffer.Length)], offset + _position);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await RandomAccess.ReadAsync(handle, buffer[..Fit(buffer.Length)], offset + _position, cancellationToken);
        _position += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => length + offset,
    };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && ownsHandle)
            handle.Dispose();
        base.Dispose(disposing);
    }

    private int Fit(int wanted) => (int)Math.Clamp(length - _position, 0, wanted);
}
