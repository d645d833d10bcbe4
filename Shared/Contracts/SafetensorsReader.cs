using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Contracts;

/// <summary>
/// A safetensors file: opening reads the header only, tensors are copied out in the pieces that are asked for. It isn't mapped, since what
/// is read would count as the process's memory, and a file cut short meanwhile would end the process. Safe for several threads.
/// </summary>
public sealed class SafetensorsReader : IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, SafetensorsTensor> _byName;
    private readonly string _path;
    private readonly long _payloadStart;
    private readonly long _payloadLength;

    private SafetensorsReader(string path, SafeFileHandle file)
    {
        _path = path;
        _file = file;
        var length = RandomAccess.GetLength(file);
        if (length < 8) throw new InvalidDataException("The file is shorter than its first word.");
        Span<byte> word = stackalloc byte[8];
        ReadExactly(word, 0);
        var headerLength = BitConverter.ToInt64(word);
        if (headerLength is < 2 or > Safetensors.MaxHeaderLength || headerLength > length - 8)
            throw new InvalidDataException($"The header's length, {headerLength}, doesn't fit the file's, {length}.");

        var json = new byte[headerLength];
        ReadExactly(json, 8);
        _payloadStart = 8 + headerLength;
        _payloadLength = length - _payloadStart;
        var header = SafetensorsHeader.Parse(json, _payloadLength);
        Metadata = header.Metadata;
        Tensors = header.Tensors;
        _byName = header.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>In the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <exception cref="InvalidDataException">The file is torn or no safetensors file; the message names it and says why.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static SafetensorsReader Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            return new(path, file);
        }
        catch (Exception error)
        {
            file.Dispose();
            if (error is InvalidDataException) throw new InvalidDataException($"{path}: {error.Message}", error);
            throw;
        }
    }

    /// <exception cref="InvalidDataException">There is no such tensor, or its type or number of dimensions is another.</exception>
    public SafetensorsTensor Tensor(string name, SafetensorsType type, int dimensions)
    {
        if (!_byName.TryGetValue(name, out var tensor)) throw new InvalidDataException($"{_path}: There is no tensor '{name}'.");
        if (tensor.Type != type || tensor.Shape.Count != dimensions)
            throw new InvalidDataException($"{_path}: The tensor '{name}' is {tensor.Type} of {tensor.Shape.Count} dimensions, not {type} of {dimensions}.");
        return tensor;
    }

    /// <exception cref="InvalidDataException">There is no such entry.</exception>
    public string RequiredMetadata(string name) =>
        Metadata.TryGetValue(name, out var value) ? value : throw new InvalidDataException($"{_path}: The metadata lacks '{name}'.");

    /// <summary>Copies bytes of a tensor, from one of its bytes on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They reach beyond the tensor.</exception>
    public void Read(SafetensorsTensor tensor, long offset, Span<byte> destination) =>
        ReadExactly(destination, PlaceOf(tensor, offset, destination.Length));

    /// <inheritdoc cref="Read"/>
    public async ValueTask ReadAsync(SafetensorsTensor tensor, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        for (var place = PlaceOf(tensor, offset, destination.Length); !destination.IsEmpty;)
        {
            var count = await RandomAccess.ReadAsync(_file, destination, place, cancellationToken);
            if (count == 0) throw CutShort();
            destination = destination[count..];
            place += count;
        }
    }

    /// <summary>The whole of a tensor of at most 2 GiB, as elements of the matching type.</summary>
    public T[] ReadAll<T>(SafetensorsTensor tensor) where T : unmanaged
    {
        var elements = new T[tensor.Length / Marshal.SizeOf<T>()];
        Read(tensor, 0, MemoryMarshal.AsBytes(elements.AsSpan()));
        return elements;
    }

    /// <summary>SHA-256 over all tensors' bytes, lower-case hex: what <see cref="SafetensorsWriter.Commit"/> returned.</summary>
    public string ComputeChecksum()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Math.Min(_payloadLength, 1 << 20)];
        for (var offset = 0L; offset < _payloadLength; offset += buffer.Length)
        {
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, _payloadLength - offset));
            ReadPayload(offset, piece);
            hash.AppendData(piece);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <exception cref="InvalidDataException">The tensors' bytes are not those that the file was written with.</exception>
    public void VerifyChecksum()
    {
        if (RequiredMetadata(Safetensors.ChecksumKey) != ComputeChecksum())
            throw new InvalidDataException($"{_path}: The tensors don't have the checksum that the file was written with; it was altered or torn.");
    }

    public void Dispose() => _file.Dispose();

    private long PlaceOf(SafetensorsTensor tensor, long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + count, tensor.Length, nameof(count));
        return _payloadStart + tensor.Offset + offset;
    }

    private InvalidDataException CutShort() => new($"{_path}: The file was cut short while it was read.");

    private void ReadPayload(long offset, Span<byte> destination) => ReadExactly(destination, _payloadStart + offset);

    private void ReadExactly(Span<byte> destination, long offset)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(_file, destination, offset);
            if (count == 0) throw CutShort();
            destination = destination[count..];
            offset += count;
        }
    }
}
