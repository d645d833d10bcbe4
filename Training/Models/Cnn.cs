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

    // Null where libtorch computes the blocks (_fused) or the first dense layer (_dense).
    private readonly FusedBlocks? _fused;
    private readonly DenseBlock? _dense;

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
        var inputs = Parts[DensePart].Size / parameters.DenseUnits;
        if (_fused is not null && DenseBlock.IsServed(inputs, parameters.DenseUnits)) _dense = new((int)inputs, parameters.DenseUnits);
    }

    // Of the parts, the first dense layer's weights; each convolution before it has weights and biases.
    private int DensePart => 2 * _pooled.Count;

    /// <inheritdoc/>
    /// <remarks>
    /// Where a kernel of ours takes over, the tensor is a leaf: autograd's backward pass ends there, and the kernel's continues. The gradients of the parts that
    /// autograd computes are copied into the flat one; the kernels write theirs there.
    /// </remarks>
    public override TrainingPass Train(Tensor images, long seed, Func<Tensor, Tensor> loss)
    {
        if (_fused is null) return base.Train(images, seed, loss);
        using var scope = NewDisposeScope();
        var (views, weights) = (CutParts(), Flat.detach());
        var maps = _fused.Forward(images, weights, true);
        var features = Features(maps.permute(0, 3, 1, 2), _fused.Count, views);
        var hidden = _dense is null ? Hidden(features, views) : Hidden(_dense, features.detach(), weights, true);
        var logits = Logits(hidden, views, seed);
        var value = loss(logits);

        var gradient = empty(Flat.shape, ScalarType.Float32);
        var parts = Cut(gradient);
        Tensor mapsGradient;
        if (_dense is null)
        {
            mapsGradient = ByAutograd(value, null, maps, 2 * _fused.Count, Parts.Count);
        }
        else
        {
            var hiddenGradient = ByAutograd(value, null, hidden, DensePart + 2, Parts.Count);
            mapsGradient = Backward(_dense, features, weights, hidden, hiddenGradient, gradient);
            if (_fused.Count < _pooled.Count) mapsGradient = ByAutograd(features, mapsGradient, maps, 2 * _fused.Count, DensePart);
        }

        _fused.Backward(images, mapsGradient.contiguous(), gradient);
        return new(logits.MoveToOuterDisposeScope(), value.MoveToOuterDisposeScope(), gradient.MoveToOuterDisposeScope());

        // Runs autograd from the output to the leaf, copies the gradients of the parts from first to end - 1, and returns the leaf's.
        Tensor ByAutograd(Tensor output, Tensor? outputGradient, Tensor leaf, int first, int end)
        {
            var gradients = autograd.grad([output], [leaf, .. views[first..end]], outputGradient is null ? null : [outputGradient]);
            for (var part = first; part < end; part++) parts[part].copy_(gradients[part - first + 1]);
            return gradients[0];
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _fused?.Dispose();
        _dense?.Dispose();
    }

    /// <inheritdoc/>
    protected override Tensor Forward(Tensor images, long? trainingSeed)
    {
        using var scope = NewDisposeScope();
        var views = CutParts();
        var features = _fused is null
            ? Features(Scale(images), 0, views)
            : Features(_fused.Forward(images, Flat.detach(), false).permute(0, 3, 1, 2), _fused.Count, views);
        var hidden = _dense is null ? Hidden(features, views) : Hidden(_dense, features, Flat.detach(), false);
        return Logits(hidden, views, trainingSeed).MoveToOuterDisposeScope();
    }

    /// <summary>The blocks that are libtorch's.</summary>
    /// <param name="x">float32 <c>[n, c, h, w]</c>, channels last in memory: the images, or what the first blocks make of them.</param>
    /// <param name="first">How many blocks are done.</param>
    /// <returns><c>[n, inputs]</c> of the first dense layer.</returns>
    private Tensor Features(Tensor x, int first, Tensor[] views)
    {
        var padding = _parameters.KernelSize / 2;
        for (var layer = first; layer < _pooled.Count; layer++)
        {
            var (weight, bias) = (views[2 * layer], views[(2 * layer) + 1]);
            var type = layer == 0 ? ScalarType.Float32 : ConvolutionType(_parameters);
            x = functional.conv2d(x.to_type(type), weight.to_type(type).permute(0, 3, 1, 2), bias.to_type(type), [1, 1], [padding, padding]);
            if (_pooled[layer]) x = functional.max_pool2d(x, [2, 2], [2, 2]);
            x = x.relu();
        }

        return x.to_type(ScalarType.Float32).permute(0, 2, 3, 1).reshape(x.shape[0], -1);
    }

    /// <summary>The first dense layer by libtorch.</summary>
    private Tensor Hidden(Tensor features, Tensor[] views) =>
        functional.linear(features, views[DensePart].reshape(_parameters.DenseUnits, -1), views[DensePart + 1]).relu();

    /// <summary>The first dense layer by our kernel.</summary>
    private unsafe Tensor Hidden(DenseBlock dense, Tensor features, Tensor weights, bool training)
    {
        var count = (int)features.shape[0];
        var result = empty([count, _parameters.DenseUnits], ScalarType.Float32).requires_grad_(training);
        fixed (float* x = Engine.Floats(features), flat = Engine.Floats(weights), output = Engine.Floats(result))
            dense.Forward(x, flat + OffsetOf(DensePart), count, output);
        return result;
    }

    private unsafe Tensor Backward(DenseBlock dense, Tensor features, Tensor weights, Tensor hidden, Tensor hiddenGradient, Tensor gradient)
    {
        var count = (int)features.shape[0];
        var result = empty([DenseBlock.Rows(count), features.shape[1]], ScalarType.Float32);
        var offset = OffsetOf(DensePart);
        fixed (float* x = Engine.Floats(features.detach()), flat = Engine.Floats(weights), output = Engine.Floats(hidden.detach()),
               outputGradient = Engine.Floats(hiddenGradient), to = Engine.Floats(gradient), inputGradient = Engine.Floats(result))
            dense.Backward(x, flat + offset, count, output, outputGradient, to + offset, inputGradient);
        return result.narrow(0, 0, count);
    }

    /// <summary>Dropout and the second dense layer.</summary>
    private Tensor Logits(Tensor hidden, Tensor[] views, long? trainingSeed)
    {
        if (trainingSeed is { } seed && _parameters.Dropout > 0)
        {
            Engine.Seed(seed);
            hidden = functional.dropout(hidden, _parameters.Dropout, true);
        }

        return functional.linear(hidden, views[DensePart + 2].reshape(Classes, -1), views[DensePart + 3]);
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
