namespace MlExperiments.Worker.Jobs;

/// <summary>How much of a curve is kept: all of it up to 10,000 points; beyond, every second point, every fourth, and so on.</summary>
internal static class CurveLimit
{
    public const int MaxPoints = 10_000;

    /// <summary>The points that are kept lie at multiples of so many steps. Once doubled it stays, so that what is kept is spread evenly.</summary>
    /// <param name="step">That the curve has reached.</param>
    /// <param name="every">Steps between two points, as they are measured.</param>
    public static long Stride(int step, int every)
    {
        long stride = every;
        while (step / stride > MaxPoints) stride *= 2;
        return stride;
    }
}
