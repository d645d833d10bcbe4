namespace MlExperiments.Training.Models;

/// <summary>One weight or bias: a stretch of a network's flat parameter tensor.</summary>
/// <param name="Name">As PyTorch's <c>state_dict</c> calls it.</param>
/// <param name="Shape">How training holds it: channels last.</param>
/// <param name="Published">Its shape in files: PyTorch's.</param>
/// <param name="ToPublished">The order in which training's dimensions become PyTorch's; null where they are the same.</param>
/// <param name="FanIn">How many inputs each of the unit's outputs sums: the weights start within 1 / sqrt(fan in).</param>
internal sealed record NetworkPart(string Name, long[] Shape, long[] Published, long[]? ToPublished, long FanIn)
{
    public long Size { get; } = Shape.Aggregate(1L, (product, size) => checked(product * size));
}
