using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>Gradient descent with momentum (Polyak 1964) and an L2 penalty in the gradient, as PyTorch's <c>SGD</c> without dampening.</summary>
internal sealed class Sgd : IOptimizer
{
    private readonly TrajectoryParameters parameters;
    private readonly Tensor? velocity;

    public Sgd(TrajectoryParameters parameters, long size)
    {
        this.parameters = parameters;
        if (parameters.Momentum > 0) velocity = Optimizers.CreateState(size);
    }

    public IReadOnlyList<(string Name, Tensor Values)> State => velocity is null ? [] : [("sgd.velocity", velocity)];

    public void Apply(Tensor flat, Tensor gradient, int step)
    {
        if (parameters.WeightDecay > 0) gradient.add_(flat, parameters.WeightDecay);
        if (velocity is not null) gradient = velocity.mul_(parameters.Momentum).add_(gradient);
        flat.add_(gradient, -parameters.LearningRate);
    }

    public void Dispose() => velocity?.Dispose();
}
