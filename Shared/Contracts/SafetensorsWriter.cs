using System.Security.Cryptography;
using MlExperiments.Shared.Blobs;
using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Contracts;

/// <summary>
/// Writes a safetensors file so that its name never shows less than the whole: into a temporary file of the final size in
/// the same folder, in any order and from any thread; <see cref="Commit"/> flushes and renames it. Without a commit, nothing stays.
/// </summary>
public sealed class SafetensorsWriter : IDisposable
{
    private static readonly string ChecksumBlank = new('0', 64);

    private readonly string path;
    private readonly string temporary;
    private readonly bool checksum;
    private readonly Dictionary<string, string> metadata;
    private readonly List<SafetensorsTensor> layout = [];
    private readonly Dictionary<string, SafetensorsTensor> byName;
    private readonly SafeFileHandle file;
    private readonly long payloadStart;
    private readonly long payloadLength;
    private bool committed;

    /// <param name="path">Where the file appears, in a folder that exists; one that is there already is replaced.</param>
    /// <param name="tensors">Names, types and shapes, in the order of their bytes.</param>
    /// <param name="metadata">Texts by name.</param>
    /// <param name="checksum">Also keep the SHA-256 over the tensors' bytes, under <see cref="Safetensors.ChecksumKey"/>.</param>
    public SafetensorsWriter(
        string path, IEnumerable<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string> metadata, bool checksum = false)
    {
        this.path = Path.GetFullPath(path);
        this.checksum = checksum;
        this.metadata = new(metadata, StringComparer.Ordinal);
        // Its place is kept by a text of the same length, which Commit overwrites.
        if (checksum) this.metadata[Safetensors.ChecksumKey] = ChecksumBlank;

        foreach (var tensor in tensors)
        {
            layout.Add(tensor with { Offset = payloadLength });
            payloadLength = checked(payloadLength + tensor.Length);
        }

        byName = layout.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var header = new SafetensorsHeader(layout, this.metadata).ToBytes();
        payloadStart = header.Length;

        temporary = $"{this.path}.{Guid.NewGuid():N}.tmp";
        file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            RandomAccess.SetLength(file, payloadStart + payloadLength);
            RandomAccess.Write(file, header, 0);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Writes bytes of a tensor, from one of its bytes on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They reach beyond the tensor.</exception>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        var tensor = byName[name];
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + bytes.Length, tensor.Length, nameof(bytes));
        RandomAccess.Write(file, bytes, payloadStart + tensor.Offset + offset);
    }

    /// <summary>Makes the file durable under its name.</summary>
    /// <returns>The checksum, where one was asked for.</returns>
    public string? Commit()
    {
        string? hash = null;
        if (checksum)
        {
            hash = ComputeChecksum();
            metadata[Safetensors.ChecksumKey] = hash;
            RandomAccess.Write(file, new SafetensorsHeader(layout, metadata).ToBytes(), 0);
        }

        RandomAccess.FlushToDisk(file);
        File.Move(temporary, path, overwrite: true);
        committed = true;
        Durable.FlushFolder(Path.GetDirectoryName(path)!);
        return hash;
    }

    public void Dispose()
    {
        file.Dispose();
        if (!committed) File.Delete(temporary);
    }

    private string ComputeChecksum()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Math.Min(payloadLength, 1 << 20)];
        for (var offset = 0L; offset < payloadLength;)
        {
            var read = RandomAccess.Read(file, buffer, payloadStart + offset);
            if (read == 0) throw new EndOfStreamException($"{temporary} was cut short while it was written.");
            hash.AppendData(buffer, 0, read);
            offset += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
