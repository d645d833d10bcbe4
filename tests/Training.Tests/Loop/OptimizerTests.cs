using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;
using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.Loop;

public sealed class OptimizerTests
{
    private static readonly TrajectoryParameters Parameters = new() { LearningRate = 0.1, Layers = 1, WeightDecay = 0.01, Momentum = 0.9 };

    // The update rules of the papers, in double precision, on the gradient 2 x of x^2.
    [Test]
    public void Adam_OverSteps_FollowsThePaper()
    {
        var (x, m, v) = (3.0, 0.0, 0.0);
        var expected = new List<double>();
        for (var t = 1; t <= 20; t++)
        {
            var g = (2 * x) + (Parameters.WeightDecay * x);
            m = (0.9 * m) + (0.1 * g);
            v = (0.999 * v) + (0.001 * g * g);
            x -= Parameters.LearningRate * (m / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(v / (1 - Math.Pow(0.999, t))) + 1e-8);
            expected.Add(x);
        }

        Assert.That(Minimize("adam"), Is.EqualTo(expected).Within(1e-4));
    }

    /// <summary>Of more values than vectors hold: those behind the last vector come to the same bits as those in one.</summary>
    [TestCase(0)]
    [TestCase(0.01)]
    public void Adam_InOnePass_DoesWhatTheCallsDo(double weightDecay)
    {
        const int Size = 35, Different = 5;
        using var scope = NewDisposeScope();
        var parameters = Parameters with { WeightDecay = weightDecay };
        using var inOnePass = new Adam(parameters, Size);
        using var byCalls = new Adam(parameters, Size);
        var (ours, theirs) = (Repeated(step: 0), Repeated(step: 0));
        for (var step = 1; step <= 10; step++)
        {
            inOnePass.ApplyInOnePass(ours, Repeated(step), rate: 0.01, epsilon: 1e-8);
            byCalls.ApplyByCalls(theirs, Repeated(step), rate: 0.01, epsilon: 1e-8);
        }

        Assert.That(Values(ours), Is.EqualTo(Values(theirs)).Within(1e-5));
        Assert.That(Values(ours), Is.Not.EqualTo(Values(Repeated(step: 0))).Within(0.01));
        foreach (var ((_, values), (_, others)) in inOnePass.State.Zip(byCalls.State))
            Assert.That(Values(values), Is.EqualTo(Values(others)).Within(1e-5));
        Assert.That(Values(ours).Skip(Different), Is.EqualTo(Values(ours).SkipLast(Different)), "the same bits");

        static Tensor Repeated(int step)
        {
            var tensor = zeros([Size]);
            var values = MemoryMarshal.Cast<byte, float>(tensor.bytes);
            for (var i = 0; i < Size; i++) values[i] = MathF.Sin((step * Different) + (i % Different));
            return tensor;
        }

        static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes).ToArray();
    }

    [TestCase(0.9)]
    [TestCase(0)]
    public void Sgd_OverSteps_FollowsItsRule(double momentum)
    {
        var (x, velocity) = (3.0, 0.0);
        var expected = new List<double>();
        for (var t = 1; t <= 20; t++)
        {
            velocity = (momentum * velocity) + (2 * x) + (Parameters.WeightDecay * x);
            x -= Parameters.LearningRate * velocity;
            expected.Add(x);
        }

        Assert.That(Minimize("sgd", momentum), Is.EqualTo(expected).Within(1e-4));
    }

    private static List<double> Minimize(string name, double momentum = 0)
    {
        using var scope = NewDisposeScope();
        using var optimizer = Optimizers.Create(Parameters with { Optimizer = name, Momentum = momentum }, 1);
        var x = zeros([1]).add_(3).requires_grad_(true);
        var path = new List<double>();
        for (var step = 1; step <= 20; step++)
        {
            var gradient = zeros([1]).add_(x.detach(), 2);
            using (no_grad()) optimizer.Apply(x, gradient, Parameters.LearningRate, step);
            path.Add(MemoryMarshal.Read<float>(x.detach().bytes));
        }

        return path;
    }
}
