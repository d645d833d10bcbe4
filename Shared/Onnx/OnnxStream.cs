using System.Security.Cryptography;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Onnx;

/// <summary>An ONNX file that is put together as it is read, from any place on: its graph from memory, its weights from the safetensors file.</summary>
public sealed class OnnxStream : ReadOnlyStream
{
    private readonly SafetensorsReader _weights;
    private readonly ReadOnlyMemory<byte> _graph;
    private readonly List<Piece> _pieces = [];

    internal OnnxStream(ProtobufMessage model, SafetensorsReader weights)
    {
        (_weights, _graph, Length) = (weights, model.Bytes, model.Length);
        Tag = Convert.ToHexStringLower(SHA256.HashData(_graph.Span));
        var (at, start) = (0, 0L);
        foreach (var (next, tensor) in model.Tensors)
        {
            _pieces.Add(new(start, next - at, at, null));
            start += next - at;
            _pieces.Add(new(start, tensor.Length, 0, tensor));
            start += tensor.Length;
            at = next;
        }

        _pieces.Add(new(start, _graph.Length - at, at, null));
    }

    /// <summary>SHA-256 over all but the weights, lower-case hex: files of the same weights with the same tag have the same bytes.</summary>
    public string Tag { get; }

    public override long Length { get; }

    /// <summary>Fills the buffer unless the file ends before.</summary>
    /// <exception cref="InvalidDataException">The weights were cut short meanwhile.</exception>
    public override int Read(Span<byte> buffer)
    {
        var read = 0;
        foreach (var (piece, from, count) in Next(buffer.Length))
        {
            if (piece.Tensor is { } tensor)
                _weights.Read(tensor, from, buffer.Slice(read, count));
            else
                _graph.Span.Slice(piece.At + (int)from, count).CopyTo(buffer[read..]);
            read += count;
        }

        return read;
    }

    /// <inheritdoc cref="Read(Span{byte})"/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = 0;
        foreach (var (piece, from, count) in Next(buffer.Length))
        {
            if (piece.Tensor is { } tensor)
                await _weights.ReadAsync(tensor, from, buffer.Slice(read, count), cancellationToken);
            else
                _graph.Slice(piece.At + (int)from, count).CopyTo(buffer[read..]);
            read += count;
        }

        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _weights.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Where the next bytes are, and how many of a piece; the position follows as they are taken.</summary>
    private IEnumerable<(Piece Piece, long From, int Count)> Next(int wanted)
    {
        foreach (var piece in _pieces.SkipWhile(piece => piece.End <= Position))
        {
            if (wanted == 0)
                yield break;
            var from = Position - piece.Start;
            var count = (int)Math.Min(wanted, piece.Length - from);
            yield return (piece, from, count);
            wanted -= count;
            Position += count;
        }
    }

    /// <summary>A tensor, or what lies before, between or behind tensors.</summary>
    /// <param name="Start">Its place in the file.</param>
    /// <param name="At">Its place in the graph, where it is no tensor.</param>
    private readonly record struct Piece(long Start, long Length, int At, SafetensorsTensor? Tensor)
    {
        public long End => Start + Length;
    }
}
