using System.Globalization;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using static TorchSharp.torch;

namespace MlExperiments.Training.Models;

/// <summary>A network over flat tensors that each pass cuts into views: one gradient, one optimizer call, one tensor to store.</summary>
/// <remarks>
/// Images and filters lie channels last, which libtorch has its fastest kernels for: <c>[n, h, w, c]</c> and <c>[out, kh, kw, in]</c>.
/// </remarks>
internal abstract class Network : IDisposable
{
    // Training holds them four times (with the gradient and Adam's moments), a checkpoint three times.
    private const long MaxBytes = 1L << 30;

    private readonly long[] _sizes;
    private readonly long[] _bufferSizes;

    /// <summary>The network with its first weights, which are a function of the seed.</summary>
    protected Network(NetworkLayout layout, ImageShape input, int classes, int seed)
    {
        Input = input;
        Classes = classes;
        Parts = layout.Parts;
        BufferParts = layout.Buffers;
        _sizes = [.. Parts.Select(part => part.Size)];
        _bufferSizes = [.. BufferParts.Select(part => part.Size)];

        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        Engine.Seed(Seeds.For(seed, Purpose.Weights, 0));
        Flat = Create(Parts, _sizes).requires_grad_(true).DetachFromDisposeScope();
        Buffers = BufferParts.Count == 0 ? null : Create(BufferParts, _bufferSizes).DetachFromDisposeScope();
    }

    public ImageShape Input { get; }

    public int Classes { get; }

    /// <summary>The weights and biases in the order of <see cref="Flat"/>.</summary>
    public IReadOnlyList<NetworkPart> Parts { get; }

    /// <summary>All parameters, float32, a leaf that gradients are taken by.</summary>
    public Tensor Flat { get; }

    /// <summary>What <see cref="Buffers"/> holds, in its order.</summary>
    public IReadOnlyList<NetworkPart> BufferParts { get; }

    /// <summary>What passes of training keep beside the parameters, flat float32 without a gradient; null where that is nothing.</summary>
    public Tensor? Buffers { get; }

    /// <summary>The network that the parameters ask for.</summary>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public static Network Create(TrajectoryParameters parameters, ImageShape shape, int classes) =>
        parameters.Architecture == "cnn" ? new Cnn(parameters, shape, classes) : new ResNet(parameters, shape, classes);

    /// <summary>What that network consists of, without making it.</summary>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public static NetworkLayout LayoutOf(TrajectoryParameters parameters, ImageShape shape, int classes) =>
        parameters.Architecture == "cnn" ? Cnn.Layout(parameters, shape, classes).Layout : ResNet.Layout(parameters.Architecture, shape, classes);

    /// <summary>What the classes' logits are without training: a pass that only looks.</summary>
    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <returns>float32 <c>[n, classes]</c>.</returns>
    public Tensor Forward(Tensor images) => Forward(images, null);

    /// <summary>A pass of training and the way back.</summary>
    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="seed">Of what is random in it.</param>
    /// <param name="loss">The loss, a scalar, of the logits, float32 <c>[n, classes]</c>.</param>
    public virtual TrainingPass Train(Tensor images, long seed, Func<Tensor, Tensor> loss)
    {
        var logits = Forward(images, seed);
        var value = loss(logits);
        return new(logits, value, autograd.grad([value], [Flat])[0]);
    }

    /// <summary>The parts as views of the flat tensor, each in its training shape.</summary>
    public Tensor[] CutParts() => Cut(Flat);

    /// <summary>The buffers, likewise.</summary>
    public Tensor[] CutBuffers() => Buffers is null ? [] : Cut(Buffers, BufferParts, _bufferSizes);

    public virtual void Dispose()
    {
        Flat.Dispose();
        Buffers?.Dispose();
    }

    /// <param name="trainingSeed">Where a pass of training draws what is random in it; null for a pass that only looks.</param>
    protected abstract Tensor Forward(Tensor images, long? trainingSeed);

    /// <summary>What libtorch's convolutions compute in, but for the first one: pixels would be rounded, and its time is little.</summary>
    protected static ScalarType ConvolutionType(TrajectoryParameters parameters) =>
        parameters.Precision == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32;

    /// <param name="advice">What makes it smaller.</param>
    protected static void ThrowIfTooLarge(IEnumerable<NetworkPart> parts, string advice)
    {
        var bytes = parts.Sum(part => part.Size) * sizeof(float);
        if (bytes > MaxBytes)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"The network's parameters would take {bytes / (1 << 20):N0} MiB; at most {MaxBytes / (1 << 20):N0} are accepted. {advice}"));
        }
    }

    /// <summary>Images as the first layer takes them: float32 <c>[n, c, h, w]</c> from 0 to 1, channels last in memory.</summary>
    protected static Tensor Scale(Tensor images) => images.to_type(ScalarType.Float32).div_(255).permute(0, 3, 1, 2);

    private static Tensor Create(IReadOnlyList<NetworkPart> parts, long[] sizes)
    {
        var flat = empty([sizes.Sum()], ScalarType.Float32);
        var pieces = flat.split(sizes, 0);
        for (var i = 0; i < pieces.Length; i++) parts[i].Fill(pieces[i]);
        return Engine.ToDevice(flat);
    }

    /// <summary>Where the first value of a part is in <see cref="Flat"/>.</summary>
    protected long OffsetOf(int part) => _sizes.Take(part).Sum();

    /// <summary>The parts of a tensor that is laid out like <see cref="Flat"/>.</summary>
    protected Tensor[] Cut(Tensor flat) => Cut(flat, Parts, _sizes);

    private static Tensor[] Cut(Tensor flat, IReadOnlyList<NetworkPart> parts, long[] sizes)
    {
        var pieces = flat.split(sizes, 0);
        return [.. parts.Select((part, i) => pieces[i].view(part.Shape))];
    }
}

/// <param name="Logits">float32 <c>[n, classes]</c>.</param>
/// <param name="Loss">A scalar of them.</param>
/// <param name="Gradient">The loss's, by all parameters, in the order of <see cref="Network.Flat"/>.</param>
internal readonly record struct TrainingPass(Tensor Logits, Tensor Loss, Tensor Gradient);

/// <param name="Parts">Weights and biases.</param>
/// <param name="Buffers">What training keeps beside them.</param>
internal sealed record NetworkLayout(IReadOnlyList<NetworkPart> Parts, IReadOnlyList<NetworkPart> Buffers)
{
    /// <summary>All that is published.</summary>
    public IEnumerable<NetworkPart> All => Parts.Concat(Buffers);
}
