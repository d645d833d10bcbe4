using System.Globalization;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Models;

/// <summary>
/// A convolutional network: <c>layers</c> blocks of convolution (same padding, <c>filters</c> in the first and twice as many
/// after), 2x2 max pooling while the shorter side is above 3, and ReLU; then a dense layer with ReLU, dropout (Srivastava et
/// al. 2014), and a dense layer to the classes. Two layers on 28 x 28 make the classic network for MNIST.
/// </summary>
/// <remarks>
/// All parameters are one flat leaf tensor that each pass cuts into views: one gradient, one optimizer call, one tensor to
/// store. Images and filters lie channels last, which libtorch has its fastest kernels for; pooling comes before ReLU, which
/// gives the same values for a quarter of the work.
/// </remarks>
internal sealed class Cnn : IDisposable
{
    private const int SmallestPooledSide = 4;

    // Training holds them four times (with the gradient and Adam's moments), a checkpoint three times.
    private const long MaxBytes = 1L << 30;

    private readonly TrajectoryParameters _parameters;
    private readonly IReadOnlyList<bool> _pooled;
    private readonly long[] _sizes;

    /// <summary>The network with its first weights, which are a function of the seed.</summary>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public Cnn(TrajectoryParameters parameters, ImageShape shape, int classes)
    {
        _parameters = parameters;
        Input = shape;
        Classes = classes;
        (Parts, _pooled) = Layout(parameters, shape, classes);
        _sizes = Parts.Select(part => part.Size).ToArray();
        Flat = CreateParameters();
    }

    public ImageShape Input { get; }

    public int Classes { get; }

    /// <summary>The weights and biases in the order of <see cref="Flat"/>.</summary>
    public IReadOnlyList<NetworkPart> Parts { get; }

    /// <summary>All parameters, float32, a leaf that gradients are taken by.</summary>
    public Tensor Flat { get; }

    /// <summary>The classes' logits.</summary>
    /// <param name="images">uint8 <c>[n, h, w, c]</c>.</param>
    /// <param name="dropoutSeed">Where the dropped units are drawn from; null drops none.</param>
    /// <returns>float32 <c>[n, classes]</c>.</returns>
    public Tensor Forward(Tensor images, long? dropoutSeed)
    {
        using var scope = NewDisposeScope();
        var views = CutParts();
        var next = 0;

        var x = images.to_type(ScalarType.Float32).div_(255).permute(0, 3, 1, 2);
        var padding = _parameters.KernelSize / 2;
        foreach (var pool in _pooled)
        {
            x = functional.conv2d(x, views[next++].permute(0, 3, 1, 2), views[next++], [1, 1], [padding, padding]);
            if (pool) x = functional.max_pool2d(x, [2, 2], [2, 2]);
            x = x.relu();
        }

        x = x.permute(0, 2, 3, 1).reshape(images.shape[0], -1);
        x = functional.linear(x, views[next++].reshape(_parameters.DenseUnits, -1), views[next++]).relu();
        if (dropoutSeed is { } seed && _parameters.Dropout > 0)
        {
            Engine.Seed(seed);
            x = functional.dropout(x, _parameters.Dropout, true);
        }

        x = functional.linear(x, views[next++].reshape(Classes, -1), views[next]);
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>The parts as views of the flat tensor, each in its training shape.</summary>
    public Tensor[] CutParts()
    {
        var pieces = Flat.split(_sizes, 0);
        return Parts.Select((part, i) => pieces[i].view(part.Shape)).ToArray();
    }

    public void Dispose() => Flat.Dispose();

    /// <summary>What the network consists of, without making it.</summary>
    /// <returns>The weights and biases, and for each convolution whether pooling follows.</returns>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public static (IReadOnlyList<NetworkPart> Parts, IReadOnlyList<bool> Pooled) Layout(TrajectoryParameters parameters, ImageShape shape, int classes)
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

        var bytes = parts.Sum(part => part.Size) * sizeof(float);
        if (bytes > MaxBytes)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"The network's parameters would take {bytes / (1 << 20):N0} MiB; at most {MaxBytes / (1 << 20):N0} are accepted. "
                + $"Lower denseUnits ({parameters.DenseUnits}) or filters ({parameters.Filters}), or the images' size ({shape.Width} x {shape.Height}); more layers pool it away, too."));
        }

        return (parts, pooled);
    }

    private static NetworkPart[] Convolution(string name, long filters, long channels, long kernel)
    {
        var fanIn = channels * kernel * kernel;
        return
        [
            new($"{name}.weight", [filters, kernel, kernel, channels], [filters, channels, kernel, kernel], [0, 3, 1, 2], fanIn),
            new($"{name}.bias", [filters], [filters], null, fanIn),
        ];
    }

    // PyTorch flattens [c, h, w], training [h, w, c]: the first dense layer's columns change places, too.
    private static NetworkPart[] Dense(string name, long units, long height, long width, long channels)
    {
        var fanIn = height * width * channels;
        return
        [
            new($"{name}.weight", [units, height, width, channels], [units, fanIn], [0, 3, 1, 2], fanIn),
            new($"{name}.bias", [units], [units], null, fanIn),
        ];
    }

    // PyTorch's defaults for both kinds of layer: kaiming_uniform_ with a = sqrt(5) (He et al. 2015) comes to
    // 1 / sqrt(fan in), which is the biases' bound as well.
    private Tensor CreateParameters()
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        Engine.Seed(Seeds.For(_parameters.Seed, Purpose.Weights, 0));
        var flat = empty([_sizes.Sum()], ScalarType.Float32);
        var pieces = flat.split(_sizes, 0);
        for (var i = 0; i < pieces.Length; i++)
        {
            var bound = 1 / Math.Sqrt(Parts[i].FanIn);
            pieces[i].uniform_(-bound, bound);
        }

        var leaf = Engine.ToDevice(flat).requires_grad_(true);
        return leaf.DetachFromDisposeScope();
    }
}
