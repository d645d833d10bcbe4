using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using MlExperiments.Shared.Blobs;

namespace MlExperiments.Api.Images;

/// <param name="Path">As it stands in the archive, with forward slashes.</param>
/// <param name="Length">Bytes once unpacked, as the directory says.</param>
/// <param name="Position">Of its local header.</param>
internal sealed record ZipEntry(string Path, bool Encrypted, int Method, long PackedLength, long Length, long Position);

/// <summary>
/// Reads a zip's central directory (PKWARE APPNOTE 6.3) entry by entry, as often as is wanted, in constant memory:
/// <see cref="ZipArchive"/> would keep an object for each of as many entries as a hostile archive likes to have.
/// </summary>
internal sealed class ZipDirectory
{
    private const int Stored = 0;
    private const int Deflated = 8;
    private const int EndLength = 22;
    private const int HeaderLength = 46;
    private const int LocalHeaderLength = 30;
    private const int Zip64LocatorLength = 20;
    private const int Zip64EndLength = 56;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly TemporaryFile _file;
    private readonly long _start;
    private readonly long _length;
    private readonly long _directory;
    private readonly long _directoryLength;

    /// <param name="start">Where in the file the zip begins.</param>
    /// <param name="length">Bytes of the zip.</param>
    /// <exception cref="InvalidDataException">It has no directory; the message says why, in words for people.</exception>
    public ZipDirectory(TemporaryFile file, long start, long length)
    {
        (_file, _start, _length) = (file, start, length);
        var tail = Read(Math.Max(0, _length - EndLength - ushort.MaxValue), (int)Math.Min(_length, EndLength + ushort.MaxValue));
        var at = FindEnd(tail);
        if (at < 0)
            throw new InvalidDataException("the zip has no end: it was cut short or is damaged");
        var end = tail.AsSpan(at);
        var endPosition = _length - tail.Length + at;
        if (BinaryPrimitives.ReadUInt32LittleEndian(end[4..]) is not (0 or uint.MaxValue))
            throw new InvalidDataException("the zip is one of several parts; pack it as one");
        Count = BinaryPrimitives.ReadUInt16LittleEndian(end[10..]);
        _directoryLength = BinaryPrimitives.ReadUInt32LittleEndian(end[12..]);
        _directory = BinaryPrimitives.ReadUInt32LittleEndian(end[16..]);
        if ((Count == ushort.MaxValue || _directoryLength == uint.MaxValue || _directory == uint.MaxValue) && endPosition >= Zip64LocatorLength)
        {
            var locator = Read(endPosition - Zip64LocatorLength, Zip64LocatorLength);
            if (locator.AsSpan().StartsWith("PK\x06\x07"u8))
            {
                var end64 = Read(BinaryPrimitives.ReadInt64LittleEndian(locator.AsSpan(8)), Zip64EndLength).AsSpan();
                if (!end64.StartsWith("PK\x06\x06"u8))
                    throw Damaged();
                Count = BinaryPrimitives.ReadInt64LittleEndian(end64[32..]);
                _directoryLength = BinaryPrimitives.ReadInt64LittleEndian(end64[40..]);
                _directory = BinaryPrimitives.ReadInt64LittleEndian(end64[48..]);
            }
        }

        if (Count < 0 || _directory < 0 || _directoryLength < 0 || _directory > endPosition || _directoryLength > endPosition - _directory)
            throw Damaged();
    }

    /// <summary>How many entries the archive says it has.</summary>
    public long Count { get; }

    /// <exception cref="InvalidDataException">The directory is damaged from there on.</exception>
    public IEnumerable<ZipEntry> Entries()
    {
        using var stream = new BufferedStream(_file.OpenRead(_start + _directory, _directoryLength), 64 * 1024);
        var header = new byte[HeaderLength];
        var rest = Array.Empty<byte>();
        for (long number = 0; number < Count; number++)
        {
            if (stream.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false) < HeaderLength || !header.AsSpan().StartsWith("PK\x01\x02"u8))
                throw Damaged();
            var nameLength = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(28));
            var extraLength = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(30));
            var restLength = nameLength + extraLength + BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(32));
            if (rest.Length < restLength)
                rest = new byte[restLength];
            if (stream.ReadAtLeast(rest.AsSpan(0, restLength), restLength, throwOnEndOfStream: false) < restLength)
                throw Damaged();
            yield return Parse(header, rest.AsSpan(0, nameLength), rest.AsSpan(nameLength, extraLength));
        }
    }

    /// <summary>Unpacks an entry into memory: exactly <see cref="ZipEntry.Length"/> bytes.</summary>
    /// <returns>Null, or else why it can't be unpacked, in words.</returns>
    public string? TryUnpack(ZipEntry entry, Span<byte> bytes)
    {
        if (entry.Encrypted)
            return "it is encrypted";
        if (entry.Method is not (Stored or Deflated))
            return $"it is packed with method {entry.Method}; stored and deflated entries can be read";
        if (entry.Position > _length - LocalHeaderLength)
            return "the zip is damaged where it should be";
        var header = Read(entry.Position, LocalHeaderLength).AsSpan();
        var data = entry.Position + LocalHeaderLength
            + BinaryPrimitives.ReadUInt16LittleEndian(header[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        if (!header.StartsWith("PK\x03\x04"u8) || data > _length || entry.PackedLength > _length - data)
            return "the zip is damaged where it should be";
        try
        {
            using var packed = _file.OpenRead(_start + data, entry.PackedLength);
            using var stream = entry.Method == Stored ? packed : new DeflateStream(packed, CompressionMode.Decompress);
            // One byte more than it says is as wrong as one less, and how archives that unpack to terabytes begin.
            return stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) == bytes.Length && stream.ReadByte() < 0
                ? null
                : "it does not unpack to the length that the zip says";
        }
        catch (InvalidDataException)
        {
            return "its packed data is damaged";
        }
    }

    private static int FindEnd(ReadOnlySpan<byte> tail)
    {
        for (var at = tail.Length - EndLength; at >= 0; at--)
        {
            // The comment's length tells the record from bytes of the comment that look like one.
            if (tail[at..].StartsWith("PK\x05\x06"u8) && at + EndLength + BinaryPrimitives.ReadUInt16LittleEndian(tail[(at + 20)..]) <= tail.Length)
                return at;
        }

        return -1;
    }

    private static ZipEntry Parse(ReadOnlySpan<byte> header, ReadOnlySpan<byte> name, ReadOnlySpan<byte> extra)
    {
        var flags = BinaryPrimitives.ReadUInt16LittleEndian(header[8..]);
        long packed = BinaryPrimitives.ReadUInt32LittleEndian(header[20..]);
        long unpacked = BinaryPrimitives.ReadUInt32LittleEndian(header[24..]);
        long position = BinaryPrimitives.ReadUInt32LittleEndian(header[42..]);
        while (extra.Length >= 4)
        {
            var fieldLength = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]), extra.Length - 4);
            if (BinaryPrimitives.ReadUInt16LittleEndian(extra) == 1)
            {
                // Zip64: in this order, and only those that had no room above.
                var field = extra.Slice(4, fieldLength);
                Take64(ref unpacked, ref field);
                Take64(ref packed, ref field);
                Take64(ref position, ref field);
            }

            extra = extra[(4 + fieldLength)..];
        }

        if (packed < 0 || unpacked < 0 || position < 0)
            throw Damaged();
        return new ZipEntry(
            Text(name, utf8: (flags & 0x800) != 0).Replace('\\', '/'),
            (flags & 1) != 0,
            BinaryPrimitives.ReadUInt16LittleEndian(header[10..]),
            packed,
            unpacked,
            position);
    }

    private static void Take64(ref long value, ref ReadOnlySpan<byte> field)
    {
        if (value != uint.MaxValue || field.Length < sizeof(long))
            return;
        value = BinaryPrimitives.ReadInt64LittleEndian(field);
        field = field[sizeof(long)..];
    }

    // Many programs write UTF-8 without saying so; what isn't is of some old code page.
    private static string Text(ReadOnlySpan<byte> name, bool utf8)
    {
        if (utf8)
            return Encoding.UTF8.GetString(name);
        try
        {
            return Strict.GetString(name);
        }
        catch (DecoderFallbackException)
        {
            return Encoding.Latin1.GetString(name);
        }
    }

    private static InvalidDataException Damaged() => new("the zip's directory is damaged");

    private byte[] Read(long position, int count)
    {
        if (position < 0 || position > _length - count)
            throw Damaged();
        var bytes = new byte[count];
        using var stream = _file.OpenRead(_start + position, count);
        stream.ReadExactly(bytes);
        return bytes;
    }
}
