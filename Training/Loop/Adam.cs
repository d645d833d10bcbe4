using System.Numerics;
using System.Runtime.CompilerServices;
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
        // The corrections of both moments are drawn into the step size and epsilon: the same quotient, in fewer operations.
        var correction = Math.Sqrt(1 - Math.Pow(Beta2, step));
        var rate = learningRate * correction / (1 - Math.Pow(Beta1, step));
        if (Engine.Device == Engine.Cpu) ApplyInOnePass(flat, gradient, rate, Epsilon * correction);
        else ApplyByCalls(flat, gradient, rate, Epsilon * correction);
    }

    public void Dispose()
    {
        _mean.Dispose();
        _square.Dispose();
    }

    /// <summary>For the CPU's memory: the engine's calls would read and write the four tensors eighteen times.</summary>
    internal void ApplyInOnePass(Tensor flat, Tensor gradient, double rate, double epsilon)
    {
        using var scope = NewDisposeScope();
        Apply(
            Engine.Floats(flat.detach()), Engine.Floats(gradient), Engine.Floats(_mean), Engine.Floats(_square), (float)rate, (float)epsilon, (float)parameters.WeightDecay);
    }

    /// <summary>For any memory.</summary>
    internal void ApplyByCalls(Tensor flat, Tensor gradient, double rate, double epsilon)
    {
        using var scope = NewDisposeScope();
        if (parameters.WeightDecay > 0) gradient.add_(flat, parameters.WeightDecay);
        _mean.mul_(Beta1).add_(gradient, 1 - Beta1);
        _square.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        flat.addcdiv_(_mean, _square.sqrt().add_(epsilon), -rate);
    }

    // Every value is computed alike, in a vector of any width or behind the last one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Apply(Span<float> flat, Span<float> gradient, Span<float> mean, Span<float> square, float rate, float epsilon, float weightDecay)
    {
        var width = Vector<float>.Count;
        var at = 0;
        for (; at <= flat.Length - width; at += width)
        {
            var values = new Vector<float>(flat[at..]);
            var slope = new Vector<float>(gradient[at..]) + (values * weightDecay);
            var m = (new Vector<float>(mean[at..]) * (float)Beta1) + (slope * (float)(1 - Beta1));
            var v = (new Vector<float>(square[at..]) * (float)Beta2) + (slope * slope * (float)(1 - Beta2));
            m.CopyTo(mean[at..]);
            v.CopyTo(square[at..]);
            (values - (m / (Vector.SquareRoot(v) + new Vector<float>(epsilon)) * rate)).CopyTo(flat[at..]);
        }

        for (; at < flat.Length; at++)
        {
            var slope = gradient[at] + (flat[at] * weightDecay);
            mean[at] = (mean[at] * (float)Beta1) + (slope * (float)(1 - Beta1));
            square[at] = (square[at] * (float)Beta2) + (slope * slope * (float)(1 - Beta2));
            flat[at] -= mean[at] / (MathF.Sqrt(square[at]) + epsilon) * rate;
        }
    }
}
