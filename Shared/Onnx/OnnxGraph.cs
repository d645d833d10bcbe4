using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Onnx;

/// <summary>A graph as it grows, a chain of nodes that each take what the one before gives.</summary>
/// <param name="weights">Where the tensors are; they keep their names and their layout.</param>
/// <param name="input">What the first node takes.</param>
internal sealed class OnnxGraph(SafetensorsReader weights, string input)
{
    private readonly List<ProtobufMessage> _nodes = [];
    private readonly List<ProtobufMessage> _initializers = [];
    private string _last = input;

    /// <summary>Appends a node, whose output has its name.</summary>
    /// <param name="tensors">What else it takes.</param>
    public OnnxGraph Then(string opType, string name, string[] tensors, params ProtobufMessage[] attributes)
    {
        var node = new ProtobufMessage();
        foreach (var taken in tensors.Prepend(_last)) node.Add(NodeFields.Input, taken);
        node.Add(NodeFields.Output, name).Add(NodeFields.Name, name).Add(NodeFields.OpType, opType);
        foreach (var attribute in attributes) node.Add(NodeFields.Attribute, attribute);
        _nodes.Add(node);
        _last = name;
        return this;
    }

    /// <summary>Takes a tensor of the weights into the graph.</summary>
    /// <returns>Its name.</returns>
    /// <exception cref="InvalidDataException">There is none, or its shape is another.</exception>
    public string AddInitializer(string name, params long[] shape)
    {
        var tensor = weights.Tensor(name, SafetensorsType.F32, shape.Length);
        if (!tensor.Shape.SequenceEqual(shape))
            throw new InvalidDataException($"The tensor '{name}' is [{string.Join(", ", tensor.Shape)}], and the network that the file describes has [{string.Join(", ", shape)}].");
        var message = new ProtobufMessage();
        foreach (var size in shape) message.Add(TensorFields.Dims, size);
        _initializers.Add(message.Add(TensorFields.DataType, TensorFields.Float).Add(TensorFields.Name, name).Add(TensorFields.RawData, tensor));
        return name;
    }

    public ProtobufMessage ToMessage(string name, ProtobufMessage input, params ProtobufMessage[] outputs)
    {
        var graph = new ProtobufMessage();
        foreach (var node in _nodes) graph.Add(GraphFields.Node, node);
        graph.Add(GraphFields.Name, name);
        foreach (var initializer in _initializers) graph.Add(GraphFields.Initializer, initializer);
        graph.Add(GraphFields.Input, input);
        foreach (var output in outputs) graph.Add(GraphFields.Output, output);
        return graph;
    }

    public static ProtobufMessage Attribute(string name, long value) =>
        new ProtobufMessage().Add(AttributeFields.Name, name).Add(AttributeFields.I, value).Add(AttributeFields.Type, AttributeFields.TypeInt);

    public static ProtobufMessage Attribute(string name, params long[] values)
    {
        var attribute = new ProtobufMessage().Add(AttributeFields.Name, name);
        foreach (var value in values) attribute.Add(AttributeFields.Ints, value);
        return attribute.Add(AttributeFields.Type, AttributeFields.TypeInts);
    }

    /// <summary>A float32 input or output <c>[n, ...]</c>, for any n.</summary>
    /// <param name="denotation">What it stands for, by ONNX's word for it; null for nothing in particular.</param>
    public static ProtobufMessage Batch(string name, string about, string? denotation, params long[] sizes)
    {
        var shape = new ProtobufMessage().Add(TensorShapeFields.Dim, new ProtobufMessage().Add(DimensionFields.DimParam, "n"));
        foreach (var size in sizes) shape.Add(TensorShapeFields.Dim, new ProtobufMessage().Add(DimensionFields.DimValue, size));
        var type = new ProtobufMessage().Add(
            TypeFields.TensorType,
            new ProtobufMessage().Add(TensorTypeFields.ElemType, TensorFields.Float).Add(TensorTypeFields.Shape, shape));
        if (denotation is not null) type.Add(TypeFields.Denotation, denotation);
        return new ProtobufMessage().Add(ValueInfoFields.Name, name).Add(ValueInfoFields.Type, type).Add(ValueInfoFields.DocString, about);
    }
}
