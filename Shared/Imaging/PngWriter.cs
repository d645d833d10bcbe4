using System.Buffers.Binary;
using System.IO.Compression;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Writes 8-bit grey or RGB PNG files (ISO/IEC 15948): what the demo and the tests draw and IDX files hold, no more. The same pixels give the same bytes, as long
/// as the runtime's zlib packs them so.
/// </summary>
public static class PngWriter
{
    private static readonly uint[] CrcTable = CreateCrcTable();

    /// <summary>Encodes uint8 <c>[h, w, c]</c> pixels, one or three channels, without interlacing or filters.</summary>
    /// <exception cref="ArgumentException">The pixels don't have the shape's size, or the channels are not 1 or 3.</exception>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, ImageShape shape)
    {
        if (pixels.Length != shape.Size) throw new ArgumentException($"{pixels.Length} bytes are not {shape}.", nameof(pixels));
        if (shape.Channels is not (1 or 3)) throw new ArgumentException("A PNG is written with 1 or 3 channels.", nameof(shape));

        using var png = new MemoryStream();
        png.Write([0x89, (byte)'P', (byte)'N', (byte)'G', (byte)'\r', (byte)'\n', 0x1a, (byte)'\n']);

        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, shape.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], shape.Height);
        header[8] = 8; // bits per sample
        header[9] = (byte)(shape.Channels == 1 ? 0 : 2); // grey or RGB
        WriteChunk(png, "IHDR"u8, header);

        using var data = new MemoryStream();
        using (var compressor = new ZLibStream(data, CompressionLevel.Fastest, leaveOpen: true))
        {
            var stride = shape.Width * shape.Channels;
            for (var row = 0; row < shape.Height; row++)
            {
                compressor.WriteByte(0); // no filter
                compressor.Write(pixels.Slice(row * stride, stride));
            }
        }

        WriteChunk(png, "IDAT"u8, data.GetBuffer().AsSpan(0, (int)data.Length));
        WriteChunk(png, "IEND"u8, []);
        return png.ToArray();
    }

    private static void WriteChunk(MemoryStream png, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(word, data.Length);
        png.Write(word);
        png.Write(type);
        png.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(word, ~Crc(Crc(~0u, type), data));
        png.Write(word);
    }

    private static uint Crc(uint crc, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes) crc = CrcTable[(byte)(crc ^ value)] ^ (crc >> 8);
        return crc;
    }

    private static uint[] CreateCrcTable()
    {
        var table = new uint[256];
        for (var i = 0u; i < table.Length; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) == 0 ? crc >> 1 : 0xedb88320 ^ (crc >> 1);
            table[i] = crc;
        }

        return table;
    }
}
