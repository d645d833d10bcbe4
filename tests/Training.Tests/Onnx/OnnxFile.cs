using Google.Protobuf;

namespace MlExperiments.Training.Tests.Onnx;

/// <summary>What an ONNX file says that ONNX Runtime does not show, read from its protobuf fields by the numbers in <c>onnx.proto</c>.</summary>
internal sealed record OnnxFile(long IrVersion, long Opset, IReadOnlyList<string> Nodes)
{
    public static OnnxFile Read(string path)
    {
        var model = Fields(File.ReadAllBytes(path));
        return new(
            Number(model[1].Single()),
            Number(Fields(model[8].Single())[2].Single()),
            [.. Fields(model[7].Single())[1].Select(node => ((ByteString)Fields(node)[3].Single()).ToStringUtf8())]);
    }

    /// <summary>The fields of one message by their numbers: a <see cref="long"/> or a <see cref="ByteString"/> each.</summary>
    private static ILookup<int, object> Fields(object message)
    {
        var input = message is ByteString bytes ? bytes.CreateCodedInput() : new CodedInputStream((byte[])message);
        List<(int Number, object Value)> fields = [];
        while (input.ReadTag() is not 0 and var tag)
        {
            fields.Add((WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.Varint => input.ReadInt64(),
                WireFormat.WireType.LengthDelimited => input.ReadBytes(),
                var type => throw new InvalidDataException($"A field of type {type}."),
            }));
        }

        return fields.ToLookup(field => field.Number, field => field.Value);
    }

    private static long Number(object value) => (long)value;
}
