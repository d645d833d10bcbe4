using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>Gradient descent with momentum (Polyak 1964) and an L2 penalty in the gradient, as PyTorch's <c>SGD</c> without dampening.</summary>
internal sealed class Sgd : IOptimizer
{
    private readonly TrajectoryParameters _parameters;
    private readonly Tensor? _velocity;

    public Sgd(TrajectoryParameters parameters, long size)
    {
        _parameters = parameters;
        if (parameters.Momentum > 0) _velocity = Optimizers.CreateState(size);
    }

    public IReadOnlyList<(string Name, Tensor Values)> State => _velocity is null ? [] : [("sgd.velocity", _velocity)];

    public void Apply(Tensor flat, Tensor gradient, double learningRate, int step)
    {
        if (_parameters.WeightDecay > 0) gradient.add_(flat, _parameters.WeightDecay);
        if (_velocity is not null) gradient = _velocity.mul_(_parameters.Momentum).add_(gradient);
        flat.add_(gradient, -learningRate);
    }

    public void Dispose() => _velocity?.Dispose();
}
