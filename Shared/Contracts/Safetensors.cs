namespace MlExperiments.Shared.Contracts;

// safetensors (https://github.com/huggingface/safetensors): 8 bytes little-endian length of the header, a JSON header
// {"__metadata__": {name: text}, tensor: {"dtype", "shape", "data_offsets": [from, to]}}, then the tensors' bytes without
// gaps. The one file format of weights, checkpoints and packed data sets: nothing in it can run.

/// <summary>The element types that are read and written, by the format's own names.</summary>
public enum SafetensorsType
{
    U8,
    I32,
    I64,
    F32,
}

/// <summary>One tensor of a file.</summary>
/// <param name="Shape">Sizes, outermost first; elements lie in that order, little-endian.</param>
public sealed record SafetensorsTensor(string Name, SafetensorsType Type, IReadOnlyList<long> Shape)
{
    /// <summary>Where its bytes begin, counted from the first tensor's.</summary>
    public long Offset { get; init; }

    /// <summary>Bytes of the tensor.</summary>
    /// <exception cref="OverflowException">The shape multiplies to more than 2^63 - 1 bytes.</exception>
    public long Length => Shape.Aggregate(Safetensors.BytesPerElement(Type), (product, size) => checked(product * size));
}

/// <summary>What reading and writing safetensors share.</summary>
public static class Safetensors
{
    /// <summary>The metadata entry that holds the SHA-256 over all tensors' bytes, in lower-case hex, where the writer was asked for it.</summary>
    public const string ChecksumKey = "sha256";

    /// <summary>Bytes: the format's own limit.</summary>
    internal const int MaxHeaderLength = 100_000_000;

    internal const string MetadataKey = "__metadata__";

    /// <summary>Bytes of one element.</summary>
    public static long BytesPerElement(SafetensorsType type) => type switch
    {
        SafetensorsType.U8 => 1,
        SafetensorsType.I32 or SafetensorsType.F32 => 4,
        SafetensorsType.I64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };
}
