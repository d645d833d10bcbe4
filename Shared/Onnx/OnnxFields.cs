namespace MlExperiments.Shared.Onnx;

// ONNX (https://onnx.ai) files are protobuf messages: the numbers of the fields that are written, of opset 13 and IR version 7,
// under ONNX's own names.

internal static class ModelFields
{
    public const int IrVersion = 1;
    public const int ProducerName = 2;
    public const int ProducerVersion = 3;
    public const int DocString = 6;
    public const int Graph = 7;
    public const int OpsetImport = 8;
    public const int MetadataProps = 14;
}

internal static class OperatorSetIdFields
{
    public const int Domain = 1;
    public const int Version = 2;
}

internal static class StringStringEntryFields
{
    public const int Key = 1;
    public const int Value = 2;
}

internal static class GraphFields
{
    public const int Node = 1;
    public const int Name = 2;
    public const int Initializer = 5;
    public const int Input = 11;
    public const int Output = 12;
}

internal static class NodeFields
{
    public const int Input = 1;
    public const int Output = 2;
    public const int Name = 3;
    public const int OpType = 4;
    public const int Attribute = 5;
}

internal static class AttributeFields
{
    public const int Name = 1;
    public const int I = 3;
    public const int Ints = 8;
    public const int Type = 20;

    public const int TypeInt = 2;
    public const int TypeInts = 7;
}

internal static class TensorFields
{
    public const int Dims = 1;
    public const int DataType = 2;
    public const int Name = 8;
    public const int RawData = 9;

    public const int Float = 1;
}

internal static class ValueInfoFields
{
    public const int Name = 1;
    public const int Type = 2;
    public const int DocString = 3;
}

internal static class TypeFields
{
    public const int TensorType = 1;
    public const int Denotation = 6;
}

internal static class TensorTypeFields
{
    public const int ElemType = 1;
    public const int Shape = 2;
}

internal static class TensorShapeFields
{
    public const int Dim = 1;
}

internal static class DimensionFields
{
    public const int DimValue = 1;
    public const int DimParam = 2;
}
