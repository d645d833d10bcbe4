using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>Adam (Kingma and Ba 2015) with an L2 penalty in the gradient, as PyTorch's <c>Adam</c> without <c>amsgrad</c>.</summary>
internal sealed class Adam(TrajectoryParameters parameters, long size) : IOptimizer
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;

    private readonly Tensor _mean = Optimizers.CreateState(size);
    private readonly Tensor _square = Optimizers.CreateState(size);

    public IReadOnlyList<(string Name, Tensor Values)> State => [("adam.mean", _mean), ("adam.square", _square)];

    public void Apply(Tensor flat, Tensor gradient, double learningRate, int step)
    {
        using var scope = NewDisposeScope();
        if (parameters.WeightDecay > 0) gradient.add_(flat, parameters.WeightDecay);
        _mean.mul_(Beta1).add_(gradient, 1 - Beta1);
        _square.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);

        // The corrections of both moments are drawn into the step size and epsilon: the same quotient, in fewer passes.
        var correction = Math.Sqrt(1 - Math.Pow(Beta2, step));
        var rate = learningRate * correction / (1 - Math.Pow(Beta1, step));
        flat.addcdiv_(_mean, _square.sqrt().add_(Epsilon * correction), -rate);
    }

    public void Dispose()
    {
        _mean.Dispose();
        _square.Dispose();
    }
}
