using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Models;

/// <summary>
/// A convolutional network: <c>layers</c> blocks of convolution (same padding, <c>filters</c> in the first and twice as many
/// after), 2x2 max pooling while the shorter side is above 3, and ReLU; then a dense layer with ReLU, dropout (Srivastava et
/// al. 2014), and a dense layer to the classes. Two layers on 28 x 28 make the classic network for MNIST.
/// </summary>
/// <remarks>Pooling comes before ReLU, which gives the same values for a quarter of the work.</remarks>
internal sealed class Cnn : Network
{
    private const int SmallestPooledSide = 4;

    private readonly TrajectoryParameters _parameters;
    private readonly IReadOnlyList<bool> _pooled;

    // Null where libtorch's calls serve from the first block on.
    private readonly FusedBlocks? _fused;

    /// <inheritdoc cref="Network(NetworkLayout, ImageShape, int, int)"/>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public Cnn(TrajectoryParameters parameters, ImageShape shape, int classes)
        : this(parameters, shape, classes, Layout(parameters, shape, classes))
    {
    }

    private Cnn(TrajectoryParameters parameters, ImageShape shape, int classes, (NetworkLayout Layout, IReadOnlyList<bool> Pooled) made)
        : base(made.Layout, shape, classes, parameters.Seed)
    {
        (_parameters, _pooled) = (parameters, made.Pooled);
        _fused = FusedBlocks.Create(parameters, shape, _pooled);
    }

    /// <inheritdoc/>
    public override TrainingPass Train(Tensor images, long seed, Func<Tensor, Tensor> loss)
    {
        if (_fused is null) return base.Train(images, seed, loss);
        using var scope = NewDisposeScope();
        var maps = _fused.Forward(images, Flat.detach(), true);
        var logits = Logits(maps.permute(0, 3, 1, 2), _fused.Count, seed);
        var value = loss(logits);
        // Autograd goes back as far as the maps, the blocks from there on: the first parameters' gradients are theirs.
        var gradients = autograd.grad([value], [Flat, maps]);
        _fused.Backward(images, gradients[1].contiguous(), gradients[0]);
        return new(logits.MoveToOuterDisposeScope(), value.MoveToOuterDisposeScope(), gradients[0].MoveToOuterDisposeScope());
    }

    public override void Dispose()
    {
        base.Dispose();
        _fused?.Dispose();
    }

    /// <inheritdoc/>
    protected override Tensor Forward(Tensor images, long? trainingSeed)
    {
        using var scope = NewDisposeScope();
        var logits = _fused is null
            ? Logits(Scale(images), 0, trainingSeed)
            : Logits(_fused.Forward(images, Flat.detach(), false).permute(0, 3, 1, 2), _fused.Count, trainingSeed);
        return logits.MoveToOuterDisposeScope();
    }

    /// <param name="x">float32 <c>[n, c, h, w]</c>, channels last in memory: the images, or what the first blocks make of them.</param>
    /// <param name="first">How many blocks are done.</param>
    private Tensor Logits(Tensor x, int first, long? trainingSeed)
    {
        using var scope = NewDisposeScope();
        var views = CutParts();
        var count = x.shape[0];
        var padding = _parameters.KernelSize / 2;
        var next = 2 * first;
        for (var layer = first; layer < _pooled.Count; layer++)
        {
            var (weight, bias) = (views[next++], views[next++]);
            var type = layer == 0 ? ScalarType.Float32 : ConvolutionType(_parameters);
            x = functional.conv2d(x.to_type(type), weight.to_type(type).permute(0, 3, 1, 2), bias.to_type(type), [1, 1], [padding, padding]);
            if (_pooled[layer]) x = functional.max_pool2d(x, [2, 2], [2, 2]);
            x = x.relu();
        }

        x = x.to_type(ScalarType.Float32).permute(0, 2, 3, 1).reshape(count, -1);
        x = functional.linear(x, views[next++].reshape(_parameters.DenseUnits, -1), views[next++]).relu();
        if (trainingSeed is { } seed && _parameters.Dropout > 0)
        {
            Engine.Seed(seed);
            x = functional.dropout(x, _parameters.Dropout, true);
        }

        return functional.linear(x, views[next++].reshape(Classes, -1), views[next]).MoveToOuterDisposeScope();
    }

    /// <summary>What the network consists of, without making it.</summary>
    /// <returns>The weights and biases, and for each convolution whether pooling follows.</returns>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public static (NetworkLayout Layout, IReadOnlyList<bool> Pooled) Layout(TrajectoryParameters parameters, ImageShape shape, int classes)
    {
        var (parts, pooled) = (new List<NetworkPart>(), new List<bool>());
        long height = shape.Height, width = shape.Width, channels = shape.Channels;
        for (var layer = 1; layer <= parameters.Layers; layer++)
        {
            var filters = layer == 1 ? parameters.Filters : 2L * parameters.Filters;
            parts.AddRange(Convolution($"conv{layer}", filters, channels, parameters.KernelSize));
            channels = filters;
            var pool = Math.Min(height, width) >= SmallestPooledSide;
            pooled.Add(pool);
            if (pool) (height, width) = (height / 2, width / 2);
        }

        parts.AddRange(Dense("dense1", parameters.DenseUnits, height, width, channels));
        parts.AddRange(Dense("dense2", classes, 1, 1, parameters.DenseUnits));

        ThrowIfTooLarge(
            parts,
            $"Lower denseUnits ({parameters.DenseUnits}) or filters ({parameters.Filters}), or the images' size ({shape.Width} x {shape.Height}); more layers pool it away, too.");
        return (new(parts, []), pooled);
    }

    private static NetworkPart[] Convolution(string name, long filters, long channels, long kernel)
    {
        var weight = NetworkPart.Filters($"{name}.weight", filters, channels, kernel, Start.Uniform);
        return [weight, NetworkPart.Values($"{name}.bias", filters, Start.Uniform, weight.FanIn)];
    }

    // PyTorch flattens [c, h, w], training [h, w, c]: the first dense layer's columns change places, too.
    private static NetworkPart[] Dense(string name, long units, long height, long width, long channels)
    {
        var fanIn = height * width * channels;
        return
        [
            new($"{name}.weight", [units, height, width, channels], [units, fanIn], [0, 3, 1, 2], Start.Uniform, fanIn),
            NetworkPart.Values($"{name}.bias", units, Start.Uniform, fanIn),
        ];
    }
}
