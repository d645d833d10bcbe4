using System.Buffers;
using Google.Protobuf;
using MlExperiments.Shared.Contracts;
using static Google.Protobuf.WireFormat;

namespace MlExperiments.Shared.Onnx;

/// <summary>
/// A protobuf message with places for tensors: it knows how long they are and where they go, and never holds their bytes, so that a
/// message of hundreds of megabytes takes kilobytes to make.
/// </summary>
internal sealed class ProtobufMessage
{
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly List<TensorPlace> _tensors = [];

    /// <summary>All but the tensors' bytes.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes.WrittenMemory;

    /// <summary>In the order of their bytes.</summary>
    public IReadOnlyList<TensorPlace> Tensors => _tensors;

    /// <summary>With the tensors' bytes.</summary>
    public long Length => _bytes.WrittenCount + _tensors.Sum(place => place.Tensor.Length);

    public ProtobufMessage Add(int field, long value)
    {
        Write(field, WireType.Varint, CodedOutputStream.ComputeInt64Size(value), output => output.WriteInt64(value));
        return this;
    }

    public ProtobufMessage Add(int field, string text)
    {
        Write(field, WireType.LengthDelimited, CodedOutputStream.ComputeStringSize(text), output => output.WriteString(text));
        return this;
    }

    public ProtobufMessage Add(int field, ProtobufMessage message)
    {
        WriteLength(field, message.Length);
        _tensors.AddRange(message._tensors.Select(place => place with { At = _bytes.WrittenCount + place.At }));
        _bytes.Write(message._bytes.WrittenSpan);
        return this;
    }

    public ProtobufMessage Add(int field, SafetensorsTensor tensor)
    {
        WriteLength(field, tensor.Length);
        _tensors.Add(new(_bytes.WrittenCount, tensor));
        return this;
    }

    private void WriteLength(int field, long length) =>
        Write(field, WireType.LengthDelimited, CodedOutputStream.ComputeUInt64Size((ulong)length), output => output.WriteUInt64((ulong)length));

    private void Write(int field, WireType type, int size, Action<CodedOutputStream> write)
    {
        var bytes = new byte[CodedOutputStream.ComputeTagSize(field) + size];
        using var output = new CodedOutputStream(bytes);
        output.WriteTag(field, type);
        write(output);
        _bytes.Write(bytes);
    }
}

/// <param name="At">Which of a message's own bytes the tensor's come before.</param>
internal readonly record struct TensorPlace(int At, SafetensorsTensor Tensor);
