using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Onnx;

/// <summary>A graph as it grows, a chain of nodes that each take what the one before gives.</summary>
/// <param name="weights">Where the tensors are; they keep their names and their layout.</param>
/// <param name="input">What the first node takes.</param>
internal sealed class OnnxGraph(SafetensorsReader weights, string input)
{
    private readonly List<ProtobufMessage> _nodes = [];
    private readonly List<ProtobufMessage> _tensors = [];
    private string _last = input;

    /// <summary>Appends a node, whose output has its name.</summary>
    /// <param name="tensors">What else it takes.</param>
    public OnnxGraph Then(string op, string name, string[] tensors, params ProtobufMessage[] attributes)
    {
        var node = new ProtobufMessage();
        foreach (var taken in tensors.Prepend(_last)) node.Add(NodeFields.Input, taken);
        node.Add(NodeFields.Output, name).Add(NodeFields.Name, name).Add(NodeFields.Operator, op);
        foreach (var attribute in attributes) node.Add(NodeFields.Attribute, attribute);
        _nodes.Add(node);
        _last = name;
        return this;
    }

    /// <summary>Takes a tensor of the weights into the graph.</summary>
    /// <returns>Its name.</returns>
    /// <exception cref="InvalidDataException">There is none, or its shape is another.</exception>
    public string Weights(string name, params long[] shape)
    {
        var tensor = weights.Tensor(name, SafetensorsType.F32, shape.Length);
        if (!tensor.Shape.SequenceEqual(shape))
            throw new InvalidDataException($"The tensor '{name}' is [{string.Join(", ", tensor.Shape)}], and the network that the file describes has [{string.Join(", ", shape)}].");
        var message = new ProtobufMessage();
        foreach (var size in shape) message.Add(TensorFields.Sizes, size);
        _tensors.Add(message.Add(TensorFields.ElementType, TensorFields.Float32).Add(TensorFields.Name, name).Add(TensorFields.RawData, tensor));
        return name;
    }

    public ProtobufMessage ToMessage(string name, ProtobufMessage input, params ProtobufMessage[] outputs)
    {
        var graph = new ProtobufMessage();
        foreach (var node in _nodes) graph.Add(GraphFields.Node, node);
        graph.Add(GraphFields.Name, name);
        foreach (var tensor in _tensors) graph.Add(GraphFields.Initializer, tensor);
        graph.Add(GraphFields.Input, input);
        foreach (var output in outputs) graph.Add(GraphFields.Output, output);
        return graph;
    }

    public static ProtobufMessage Attribute(string name, long value) =>
        new ProtobufMessage().Add(AttributeFields.Name, name).Add(AttributeFields.Integer, value).Add(AttributeFields.Type, AttributeFields.TypeInteger);

    public static ProtobufMessage Attribute(string name, params long[] values)
    {
        var attribute = new ProtobufMessage().Add(AttributeFields.Name, name);
        foreach (var value in values) attribute.Add(AttributeFields.Integers, value);
        return attribute.Add(AttributeFields.Type, AttributeFields.TypeIntegers);
    }

    /// <summary>A float32 input or output <c>[n, ...]</c>, for any n.</summary>
    /// <param name="denotation">What it stands for, by ONNX's word for it; null for nothing in particular.</param>
    public static ProtobufMessage Batch(string name, string about, string? denotation, params long[] sizes)
    {
        var shape = new ProtobufMessage().Add(ShapeFields.Dimension, new ProtobufMessage().Add(DimensionFields.Variable, "n"));
        foreach (var size in sizes) shape.Add(ShapeFields.Dimension, new ProtobufMessage().Add(DimensionFields.Size, size));
        var type = new ProtobufMessage().Add(
            TypeFields.Tensor,
            new ProtobufMessage().Add(TensorTypeFields.ElementType, TensorFields.Float32).Add(TensorTypeFields.Shape, shape));
        if (denotation is not null) type.Add(TypeFields.Denotation, denotation);
        return new ProtobufMessage().Add(ValueFields.Name, name).Add(ValueFields.Type, type).Add(ValueFields.DocString, about);
    }
}
