using static TorchSharp.torch;

namespace MlExperiments.Training.Models;

/// <summary>One weight, bias or buffer: a stretch of a network's flat tensor.</summary>
/// <param name="Name">As PyTorch's <c>state_dict</c> calls it.</param>
/// <param name="Shape">How training holds it: channels last.</param>
/// <param name="Published">Its shape in files: PyTorch's.</param>
/// <param name="ToPublished">The order in which training's dimensions become PyTorch's; null where they are the same.</param>
/// <param name="Start">Its first values.</param>
/// <param name="FanIn">How many inputs each of the unit's outputs sums.</param>
internal sealed record NetworkPart(string Name, long[] Shape, long[] Published, long[]? ToPublished, Start Start, long FanIn = 0)
{
    public long Size { get; } = Shape.Aggregate(1L, (product, size) => checked(product * size));

    /// <summary>A convolution's filters, in a file <c>[filters, channels, kernel, kernel]</c>.</summary>
    public static NetworkPart Filters(string name, long filters, long channels, long kernel, Start start) =>
        new(name, [filters, kernel, kernel, channels], [filters, channels, kernel, kernel], [0, 3, 1, 2], start, channels * kernel * kernel);

    /// <summary>One value for each channel.</summary>
    public static NetworkPart Values(string name, long channels, Start start, long fanIn = 0) => new(name, [channels], [channels], null, start, fanIn);

    /// <summary>Draws or sets the first values.</summary>
    public void Fill(Tensor values)
    {
        switch (Start)
        {
            case Start.Uniform:
                // PyTorch's default for weights and biases: kaiming_uniform_ with a = sqrt(5) (He et al. 2015) comes to this.
                var bound = 1 / Math.Sqrt(FanIn);
                values.uniform_(-bound, bound);
                break;
            case Start.Normal:
                // kaiming_normal_ by the fan out, for ReLU (He et al. 2015).
                values.normal_(0, Math.Sqrt(2.0 / (Published[0] * Published[2] * Published[3])));
                break;
            default:
                values.fill_(Start == Start.Ones ? 1 : 0);
                break;
        }
    }
}

/// <summary>The first values of a part.</summary>
internal enum Start
{
    Zeros,
    Ones,
    Uniform,
    Normal,
}
