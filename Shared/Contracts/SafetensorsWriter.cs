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

    private readonly string _path;
    private readonly string _temporary;
    private readonly bool _checksum;
    private readonly Dictionary<string, string> _metadata;
    private readonly List<SafetensorsTensor> _layout = [];
    private readonly Dictionary<string, SafetensorsTensor> _byName;
    private readonly SafeFileHandle _file;
    private readonly long _payloadStart;
    private readonly long _payloadLength;
    private bool _committed;

    /// <param name="path">Where the file appears, in a folder that exists; one that is there already is replaced.</param>
    /// <param name="tensors">Names, types and shapes, in the order of their bytes.</param>
    /// <param name="metadata">Texts by name.</param>
    /// <param name="checksum">Also keep the SHA-256 over the tensors' bytes, under <see cref="Safetensors.ChecksumKey"/>.</param>
    public SafetensorsWriter(
        string path, IEnumerable<SafetensorsTensor> tensors, IReadOnlyDictionary<string, string> metadata, bool checksum = false)
    {
        _path = Path.GetFullPath(path);
        _checksum = checksum;
        _metadata = new(metadata, StringComparer.Ordinal);
        // Its place is kept by a text of the same length, which Commit overwrites.
        if (checksum) _metadata[Safetensors.ChecksumKey] = ChecksumBlank;

        foreach (var tensor in tensors)
        {
            _layout.Add(tensor with { Offset = _payloadLength });
            _payloadLength = checked(_payloadLength + tensor.Length);
        }

        _byName = _layout.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var header = new SafetensorsHeader(_layout, _metadata).ToBytes();
        _payloadStart = header.Length;

        _temporary = $"{_path}.{Guid.NewGuid():N}.tmp";
        _file = File.OpenHandle(_temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            RandomAccess.SetLength(_file, _payloadStart + _payloadLength);
            RandomAccess.Write(_file, header, 0);
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
        var tensor = _byName[name];
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + bytes.Length, tensor.Length, nameof(bytes));
        RandomAccess.Write(_file, bytes, _payloadStart + tensor.Offset + offset);
    }

    /// <summary>Makes the file durable under its name.</summary>
    /// <returns>The checksum, where one was asked for.</returns>
    public string? Commit()
    {
        string? hash = null;
        if (_checksum)
        {
            hash = ComputeChecksum();
            _metadata[Safetensors.ChecksumKey] = hash;
            RandomAccess.Write(_file, new SafetensorsHeader(_layout, _metadata).ToBytes(), 0);
        }

        Durable.FlushFile(_file, _temporary);
        File.Move(_temporary, _path, overwrite: true);
        _committed = true;
        Durable.FlushFolder(Path.GetDirectoryName(_path)!);
        return hash;
    }

    public void Dispose()
    {
        _file.Dispose();
        if (!_committed) File.Delete(_temporary);
    }

    private string ComputeChecksum()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Math.Min(_payloadLength, 1 << 20)];
        for (var offset = 0L; offset < _payloadLength;)
        {
            var read = RandomAccess.Read(_file, buffer, _payloadStart + offset);
            if (read == 0) throw new EndOfStreamException($"{_temporary} was cut short while it was written.");
            hash.AppendData(buffer, 0, read);
            offset += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
