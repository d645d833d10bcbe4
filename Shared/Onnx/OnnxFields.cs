namespace MlExperiments.Shared.Onnx;

// ONNX (https://onnx.ai) files are protobuf messages: the numbers of the fields that are written, of opset 13 and IR version 7.

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

internal static class OpsetFields
{
    public const int Domain = 1;
    public const int Version = 2;
}

internal static class EntryFields
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
    public const int Operator = 4;
    public const int Attribute = 5;
}

internal static class AttributeFields
{
    public const int Name = 1;
    public const int Integer = 3;
    public const int Integers = 8;
    public const int Type = 20;

    public const int TypeInteger = 2;
    public const int TypeIntegers = 7;
}

internal static class TensorFields
{
    public const int Sizes = 1;
    public const int ElementType = 2;
    public const int Name = 8;
    public const int RawData = 9;

    public const int Float32 = 1;
}

internal static class ValueFields
{
    public const int Name = 1;
    public const int Type = 2;
    public const int DocString = 3;
}

internal static class TypeFields
{
    public const int Tensor = 1;
    public const int Denotation = 6;
}

internal static class TensorTypeFields
{
    public const int ElementType = 1;
    public const int Shape = 2;
}

internal static class ShapeFields
{
    public const int Dimension = 1;
}

internal static class DimensionFields
{
    public const int Size = 1;
    public const int Variable = 2;
}
