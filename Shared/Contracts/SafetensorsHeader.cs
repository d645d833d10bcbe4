using System.Text.Json;

namespace MlExperiments.Shared.Contracts;

/// <summary>The JSON in front of a safetensors file: read with distrust, written in the tensors' order.</summary>
internal sealed record SafetensorsHeader(IReadOnlyList<SafetensorsTensor> Tensors, IReadOnlyDictionary<string, string> Metadata)
{
    // The payload begins at a multiple of this, so that every element type is aligned in a memory map.
    private const int Alignment = 64;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 8, AllowDuplicateProperties = false };

    /// <exception cref="InvalidDataException">Whatever the format forbids; the message says what.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long payloadLength)
    {
        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new InvalidDataException("The header is no JSON object.");

            var tensors = new List<SafetensorsTensor>();
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Name == Safetensors.MetadataKey) ReadMetadata(property.Value, metadata);
                else tensors.Add(ReadTensor(property.Name, property.Value));
            }

            tensors.Sort((left, right) => left.Offset.CompareTo(right.Offset));
            CheckCoverage(tensors, payloadLength);
            return new(tensors, metadata);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException or OverflowException or KeyNotFoundException)
        {
            throw new InvalidDataException($"The header can't be read: {error.Message}", error);
        }
    }

    /// <summary>The length word and the header, padded with blanks.</summary>
    public byte[] ToBytes()
    {
        using var buffer = new MemoryStream();
        buffer.Write(stackalloc byte[8]);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject(Safetensors.MetadataKey);
            foreach (var (name, value) in Metadata) json.WriteString(name, value);
            json.WriteEndObject();
            foreach (var tensor in Tensors) WriteTensor(json, tensor);
            json.WriteEndObject();
        }

        while (buffer.Length % Alignment != 0) buffer.WriteByte((byte)' ');
        var bytes = buffer.ToArray();
        BitConverter.TryWriteBytes(bytes, (long)bytes.Length - 8);
        return bytes;
    }

    private static void WriteTensor(Utf8JsonWriter json, SafetensorsTensor tensor)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", tensor.Type.ToString());
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape) json.WriteNumberValue(size);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(tensor.Offset);
        json.WriteNumberValue(tensor.Offset + tensor.Length);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void ReadMetadata(JsonElement element, Dictionary<string, string> metadata)
    {
        foreach (var entry in element.EnumerateObject())
            metadata.Add(entry.Name, entry.Value.GetString() ?? throw new InvalidDataException($"The metadata '{entry.Name}' is no text."));
    }

    private static SafetensorsTensor ReadTensor(string name, JsonElement element)
    {
        var dtype = element.GetProperty("dtype").GetString();
        // TryParse takes numbers for members, too.
        if (!Enum.TryParse<SafetensorsType>(dtype, out var type) || type.ToString() != dtype)
            throw new InvalidDataException($"The tensor '{name}' has the type '{dtype}'; U8, I32, I64 and F32 are read.");

        var shape = element.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray();
        if (shape.Any(size => size < 0)) throw new InvalidDataException($"The tensor '{name}' has a negative size.");

        var offsets = element.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64()).ToArray();
        if (offsets is not [>= 0, var to] || to < offsets[0])
            throw new InvalidDataException($"The tensor '{name}' has impossible offsets.");

        var tensor = new SafetensorsTensor(name, type, shape) { Offset = offsets[0] };
        if (tensor.Length != to - offsets[0])
            throw new InvalidDataException($"The tensor '{name}' takes {to - offsets[0]} bytes, but its shape needs {tensor.Length}.");
        return tensor;
    }

    // Without gaps or overlaps, from the payload's first byte to its last: a file that was cut short is found here.
    private static void CheckCoverage(List<SafetensorsTensor> tensors, long payloadLength)
    {
        var end = 0L;
        foreach (var tensor in tensors)
        {
            if (tensor.Offset != end) throw new InvalidDataException($"The tensor '{tensor.Name}' begins at {tensor.Offset} instead of {end}.");
            end = checked(end + tensor.Length);
        }

        if (end != payloadLength) throw new InvalidDataException($"The tensors take {end} bytes, but the file holds {payloadLength}.");
    }
}
