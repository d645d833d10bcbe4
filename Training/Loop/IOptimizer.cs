using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>Moves the flat parameters down their gradient.</summary>
internal interface IOptimizer : IDisposable
{
    /// <summary>What it remembers between steps, to be kept in checkpoints: flat tensors of the parameters' size, by name.</summary>
    IReadOnlyList<(string Name, Tensor Values)> State { get; }

    /// <summary>Changes the parameters in place; gradients are off.</summary>
    /// <param name="parameters">Flat float32.</param>
    /// <param name="gradient">Of the same size; it is used up.</param>
    /// <param name="learningRate">Of this step.</param>
    /// <param name="step">The number of this step from the trajectory's start, 1 the first.</param>
    void Apply(Tensor parameters, Tensor gradient, double learningRate, int step);
}

internal static class Optimizers
{
    /// <exception cref="InvalidDataException">There is no such optimizer.</exception>
    public static IOptimizer Create(TrajectoryParameters parameters, long size) => parameters.Optimizer switch
    {
        "adam" => new Adam(parameters, size),
        "sgd" => new Sgd(parameters, size),
        _ => throw new InvalidDataException($"There is no optimizer '{parameters.Optimizer}'; there are adam and sgd."),
    };

    /// <summary>A flat float32 tensor of zeros that outlives the scopes around it.</summary>
    internal static Tensor CreateState(long size)
    {
        using var scope = NewDisposeScope();
        return Engine.ToDevice(zeros([size], ScalarType.Float32)).DetachFromDisposeScope();
    }
}
