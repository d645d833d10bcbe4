using System.Buffers.Binary;
using System.IO.Compression;
using MlExperiments.Shared.Blobs;

namespace MlExperiments.Api.Images;

/// <summary>
/// An IDX file of unsigned bytes, as "The MNIST database of handwritten digits" (Y. LeCun, C. Cortes, C. J. C. Burges) describes it, packed with gzip
/// or not. Images: the magic number 0x00000803, then count, rows and columns, then uint8 <c>[count, rows, columns]</c>, 0 for background. Labels: 0x00000801,
/// count, uint8 <c>[count]</c>. All numbers before the data are int32, big-endian. What is declared is what is read, and it is checked against the limits first.
/// </summary>
internal sealed class IdxFile
{
    /// <summary>The longest side of an image: pixels.</summary>
    public const int MaxSide = 1024;

    private const uint ImagesMagic = 0x00000803;
    private const uint LabelsMagic = 0x00000801;
    private const int WordLength = sizeof(uint);

    private readonly TemporaryFile _file;
    private readonly long _start;
    private readonly long _length;
    private readonly int _headerLength;

    private IdxFile(TemporaryFile file, long start, long length, bool hasImages)
    {
        (_file, _start, _length) = (file, start, length);
        _headerLength = (hasImages ? 4 : 2) * WordLength;
    }

    /// <summary>Images or labels.</summary>
    public int Count { get; private set; }

    /// <summary>Pixels, 1 to <see cref="MaxSide"/>; 1 for labels.</summary>
    public int Rows { get; private set; } = 1;

    /// <summary>Pixels, 1 to <see cref="MaxSide"/>; 1 for labels.</summary>
    public int Columns { get; private set; } = 1;

    /// <summary>Reads the header and goes through the data once, so that a file is taken whole or not at all.</summary>
    /// <param name="start">Where in <paramref name="file"/> the IDX file begins.</param>
    /// <param name="length">Bytes that it has there.</param>
    /// <returns>The file, or else why it can't be read, in words.</returns>
    public static async Task<(IdxFile? File, string? Reason)> OpenAsync(
        TemporaryFile file, long start, long length, bool hasImages, UploadOptions options, CancellationToken cancellationToken)
    {
        var idx = new IdxFile(file, start, length, hasImages);
        try
        {
            await using var stream = idx.Unpack();
            var reason = await idx.ReadHeaderAsync(stream, hasImages, options, cancellationToken)
                ?? await idx.MeasureAsync(stream, hasImages, cancellationToken);
            return reason is null ? (idx, null) : (null, reason);
        }
        catch (InvalidDataException)
        {
            return (null, "its gzip data is damaged or cut short");
        }
    }

    /// <summary>The bytes behind the header: <see cref="Count"/> times <see cref="Rows"/> times <see cref="Columns"/>.</summary>
    public async Task<Stream> OpenDataAsync(CancellationToken cancellationToken)
    {
        var stream = Unpack();
        await stream.ReadExactlyAsync(new byte[_headerLength], cancellationToken);
        return stream;
    }

    private BufferedStream Unpack()
    {
        var packed = _file.OpenRead(_start, _length);
        var isGzip = packed.ReadByte() == 0x1F && packed.ReadByte() == 0x8B;
        packed.Position = 0;
        return new BufferedStream(isGzip ? new GZipStream(packed, CompressionMode.Decompress) : packed, 64 * 1024);
    }

    private async Task<string?> ReadHeaderAsync(Stream stream, bool hasImages, UploadOptions options, CancellationToken cancellationToken)
    {
        var header = new byte[_headerLength];
        if (await stream.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken) < header.Length)
            return "it ends within its header";
        if (Word(0) != (hasImages ? ImagesMagic : LabelsMagic))
            return hasImages
                ? $"it begins with 0x{Word(0):X8}, and an IDX file of grey images of 8 bits with 0x{ImagesMagic:X8}"
                : $"it begins with 0x{Word(0):X8}, and an IDX file of labels of 8 bits with 0x{LabelsMagic:X8}";
        if (Word(1) < 1 || Word(1) > options.MaxEntries)
            return $"it has {Word(1)} {(hasImages ? "images" : "labels")}; 1 to {options.MaxEntries} are accepted in one file";
        Count = (int)Word(1);
        if (!hasImages)
            return null;
        if (Word(2) is < 1 or > MaxSide || Word(3) is < 1 or > MaxSide)
            return $"its images have {Word(2)} rows and {Word(3)} columns; 1 to {MaxSide} of each are accepted";
        (Rows, Columns) = ((int)Word(2), (int)Word(3));
        return Count * (long)Rows * Columns > options.MaxUnpackedBytes
            ? $"it unpacks to more than {options.MaxUnpackedBytes} bytes, the most that is accepted: split it"
            : null;

        uint Word(int place) => BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(place * WordLength));
    }

    private async Task<string?> MeasureAsync(Stream stream, bool hasImages, CancellationToken cancellationToken)
    {
        var promise = hasImages ? $"{Count} images of {Rows} x {Columns} pixels" : $"{Count} labels";
        var buffer = new byte[64 * 1024];
        for (var left = Count * (long)Rows * Columns; left > 0;)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancellationToken);
            if (read == 0)
                return $"it is cut short: its header promises {promise}, and {left} bytes are missing";
            left -= read;
        }

        return stream.ReadByte() < 0 ? null : $"it goes on after the {promise} that its header promises";
    }
}
