using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Models;

/// <summary>
/// Residual networks (He et al. 2016) with torchvision's layers and names: a stem, four stages of blocks that add what they find to what they
/// were given, the mean over all pixels, and a dense layer to the classes.
/// </summary>
/// <remarks>
/// From 64 pixels on, the stem is torchvision's: a 7x7 convolution with stride 2 and 3x3 max pooling with stride 2. Smaller images would have
/// no pixels left for the last stages: theirs is a 3x3 convolution alone, as for CIFAR (section 4.2 of the paper). In torchvision that is
/// <c>conv1 = Conv2d(channels, 64, 3, 1, 1, bias=False)</c> and <c>maxpool = Identity()</c>; 64 pixels are the shorter side's.
/// </remarks>
internal sealed class ResNet : Network
{
    private const int SmallestLargeSide = 64;
    private const int StemWidth = 64;
    private const double Momentum = 0.1;
    private const double Epsilon = 1e-5;

    private readonly int[] _blocks;
    private readonly bool _hasBottlenecks;
    private readonly bool _isLarge;
    private readonly ScalarType _convolutions;

    /// <inheritdoc cref="Network(NetworkLayout, ImageShape, int, int)"/>
    public ResNet(TrajectoryParameters parameters, ImageShape shape, int classes)
        : base(Layout(parameters.Architecture, shape, classes), shape, classes, parameters.Seed)
    {
        (_blocks, _hasBottlenecks) = Depth(parameters.Architecture);
        _isLarge = IsLarge(shape);
        _convolutions = ConvolutionType(parameters);
    }

    /// <summary>What comes out of the stem, of each of the four stages, and at the end, one after the other: each may be disposed of once the next is there.</summary>
    /// <param name="training">Batches are brought to a mean and deviation of their own, and the running ones follow.</param>
    public IEnumerable<Tensor> Stages(Tensor images, bool training)
    {
        var pass = new Pass(CutParts(), CutBuffers(), training, _convolutions);
        var x = Stem(pass, images);
        yield return x;
        for (var stage = 0; stage < _blocks.Length; stage++)
        {
            var given = x;
            for (var block = 0; block < _blocks[stage]; block++)
            {
                var made = Block(pass, given, stage, block);
                if (block > 0) given.Dispose();
                given = made;
            }

            x = given;
            yield return x;
        }

        yield return functional.linear(functional.adaptive_avg_pool2d(x, [1, 1]).reshape(images.shape[0], -1), pass.Next(), pass.Next());
    }

    /// <summary>What the network consists of, without making it.</summary>
    /// <exception cref="InvalidDataException">It would be too large.</exception>
    public static NetworkLayout Layout(string architecture, ImageShape shape, int classes)
    {
        var (blocks, hasBottlenecks) = Depth(architecture);
        var (parts, buffers) = (new List<NetworkPart>(), new List<NetworkPart>());
        void Add(string convolution, string norm, long filters, long channels, long kernel)
        {
            parts.Add(NetworkPart.Filters($"{convolution}.weight", filters, channels, kernel, Start.Normal));
            parts.Add(NetworkPart.Values($"{norm}.weight", filters, Start.Ones));
            parts.Add(NetworkPart.Values($"{norm}.bias", filters, Start.Zeros));
            buffers.Add(NetworkPart.Values($"{norm}.running_mean", filters, Start.Zeros));
            buffers.Add(NetworkPart.Values($"{norm}.running_var", filters, Start.Ones));
        }

        Add("conv1", "bn1", StemWidth, shape.Channels, IsLarge(shape) ? 7 : 3);
        long channels = StemWidth;
        for (var stage = 0; stage < blocks.Length; stage++)
        {
            var width = (long)StemWidth << stage;
            var wide = hasBottlenecks ? 4 * width : width;
            for (var block = 0; block < blocks[stage]; block++)
            {
                var name = $"layer{stage + 1}.{block}";
                Add($"{name}.conv1", $"{name}.bn1", width, channels, hasBottlenecks ? 1 : 3);
                Add($"{name}.conv2", $"{name}.bn2", width, width, 3);
                if (hasBottlenecks) Add($"{name}.conv3", $"{name}.bn3", wide, width, 1);
                if (IsProjected(stage, block, hasBottlenecks)) Add($"{name}.downsample.0", $"{name}.downsample.1", wide, channels, 1);
                channels = wide;
            }
        }

        parts.Add(new("fc.weight", [classes, channels], [classes, channels], null, Start.Uniform, channels));
        parts.Add(NetworkPart.Values("fc.bias", classes, Start.Uniform, channels));
        ThrowIfTooLarge(parts, $"Its last layer grows with the classes ({classes}): try a cnn with few denseUnits, or fewer classes.");
        return new(parts, buffers);
    }

    /// <inheritdoc/>
    protected override Tensor Forward(Tensor images, long? trainingSeed)
    {
        // What no later layer reads goes at once: a pass that only looks needs the memory of a block, and not of the whole network.
        using var scope = NewDisposeScope();
        Tensor? latest = null;
        foreach (var stage in Stages(images, trainingSeed is not null))
        {
            latest?.Dispose();
            latest = stage;
        }

        return latest!.MoveToOuterDisposeScope();
    }

    private Tensor Stem(Pass pass, Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = pass.Normalize(pass.Convolve(Scale(images), _isLarge ? 2 : 1)).relu();
        if (_isLarge) x = functional.max_pool2d(x, [3, 3], [2, 2], [1, 1]);
        return x.MoveToOuterDisposeScope();
    }

    private Tensor Block(Pass pass, Tensor given, int stage, int block)
    {
        using var scope = NewDisposeScope();
        // The first block of a later stage halves the sides; in a bottleneck, at its 3x3 convolution.
        var stride = stage > 0 && block == 0 ? 2 : 1;
        var x = pass.Normalize(pass.Convolve(given, _hasBottlenecks ? 1 : stride)).relu();
        x = pass.Normalize(pass.Convolve(x, _hasBottlenecks ? stride : 1));
        if (_hasBottlenecks) x = pass.Normalize(pass.Convolve(x.relu(), 1));
        if (IsProjected(stage, block, _hasBottlenecks)) given = pass.Normalize(pass.Convolve(given, stride));
        return x.add_(given).relu().MoveToOuterDisposeScope();
    }

    private static bool IsProjected(int stage, int block, bool hasBottlenecks) => block == 0 && (stage > 0 || hasBottlenecks);

    private static bool IsLarge(ImageShape shape) => Math.Min(shape.Width, shape.Height) >= SmallestLargeSide;

    private static (int[] Blocks, bool HasBottlenecks) Depth(string architecture) => architecture switch
    {
        "resnet18" => ([2, 2, 2, 2], false),
        "resnet34" => ([3, 4, 6, 3], false),
        "resnet50" => ([3, 4, 6, 3], true),
        _ => throw new InvalidDataException($"There is no architecture '{architecture}'; there are cnn, resnet18, resnet34 and resnet50."),
    };

    /// <summary>One pass through the parts, which come in the order of their use.</summary>
    private sealed class Pass(Tensor[] parts, Tensor[] buffers, bool training, ScalarType convolutions)
    {
        private int _part;
        private int _buffer;

        public Tensor Next() => parts[_part++];

        /// <summary>Same padding, no bias: what comes next has one.</summary>
        public Tensor Convolve(Tensor x, long stride)
        {
            var type = _part == 0 ? ScalarType.Float32 : convolutions;
            var filters = Next();
            var padding = filters.shape[1] / 2;
            x = functional.conv2d(x.to_type(type), filters.to_type(type).permute(0, 3, 1, 2), null, [stride, stride], [padding, padding]);
            return x.to_type(ScalarType.Float32);
        }

        public Tensor Normalize(Tensor x)
        {
            var shape = x.shape;
            // One value has no variance: the last batch of an epoch may be one image, of which one pixel is left.
            var byBatch = training && shape[0] * shape[2] * shape[3] > 1;
            return functional.batch_norm(x, buffers[_buffer++], buffers[_buffer++], Next(), Next(), byBatch, Momentum, Epsilon);
        }
    }
}
