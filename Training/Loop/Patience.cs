using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Loop;

/// <summary>
/// Ends a training whose points of the curves get no better (Prechelt 1998). Like divergence it is found at points only, so that it ends at
/// the same step whatever its milestones are.
/// </summary>
/// <param name="best">The best value so far; null before the first point.</param>
/// <param name="waited">The points since then.</param>
internal sealed class Patience(TrajectoryParameters parameters, double? best = null, int waited = 0)
{
    public double? Best { get; private set; } = best;

    public int Waited { get; private set; } = waited;

    public bool HasRunOut => parameters.Patience > 0 && Waited >= parameters.Patience;

    public void Add(Measurement point)
    {
        // As a loss: less is better.
        var value = parameters.PatienceMetric == "accuracy" ? -point.Accuracy : point.Loss;
        if (Best is not { } best || value < best)
            (Best, Waited) = (double.IsFinite(value) ? value : Best, 0);
        else
            Waited++;
    }
}
