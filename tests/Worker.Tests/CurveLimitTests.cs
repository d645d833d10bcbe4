using MlExperiments.Shared.Contracts;
using MlExperiments.Worker.Jobs;
using Microsoft.EntityFrameworkCore;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class CurveLimitTests
{
    [Test]
    public async Task Curves_AreKeptWholeUpTo10000Points_AndThinnedEvenlyBeyond()
    {
        const int every = 100;
        const int bestStep = 4900;
        await using var jobs = await JobsFixture.CreateAsync();
        var trajectory = await jobs.Rows.AddTrajectoryAsync(JobsFixture.Parameters, [2_000_000]);
        var worker = jobs.NewWorker();
        var claim = await worker.ClaimAsync();

        await WriteAsync(1, CurveLimit.MaxPoints);
        Assert.That(await StepsAsync("loss"), Is.EqualTo(Enumerable.Range(1, CurveLimit.MaxPoints).Select(place => place * every)), "every point");

        await WriteAsync(CurveLimit.MaxPoints + 1, CurveLimit.MaxPoints + 3001);
        var kept = await StepsAsync("loss");
        var newest = (CurveLimit.MaxPoints + 3001) * every;
        Assert.That(
            kept,
            Is.EqualTo(Enumerable.Range(1, newest / (2 * every)).Select(place => place * 2 * every).Append(bestStep).Append(newest).Order()),
            "every second one, the best and the newest");
        Assert.That(await StepsAsync("validationAccuracy"), Is.EqualTo(kept));

        async Task WriteAsync(int first, int last)
        {
            foreach (var places in Enumerable.Range(first, last - first + 1).Chunk(999))
            {
                MetricsEvent[] points = [.. places.Select(place => new MetricsEvent(claim.TrajectoryId, place * every, new Dictionary<string, double>
                {
                    ["loss"] = place,
                    ["validationAccuracy"] = place * every == bestStep ? 0.9 : 0.5,
                }))];
                await worker.Writer.RenewAsync(claim, null, points, CancellationToken.None);
            }
        }

        async Task<List<int>> StepsAsync(string name)
        {
            await using var db = jobs.Database.NewContext();
            return await db.MetricPoints.Where(point => point.TrajectoryId == trajectory.Id && point.Name == name).Select(point => point.Step).Order().ToListAsync();
        }
    }

    [TestCase(0, 100)]
    [TestCase(1_000_000, 100)]
    [TestCase(1_000_100, 200)]
    [TestCase(2_000_000, 200)]
    [TestCase(2_000_200, 400)]
    [TestCase(10_000_000, 1600)]
    public void Stride_KeepsAtMost10000Points(int step, long expected)
    {
        Assert.That(CurveLimit.Stride(step, 100), Is.EqualTo(expected));
        Assert.That(step / expected, Is.LessThanOrEqualTo(CurveLimit.MaxPoints));
    }
}
