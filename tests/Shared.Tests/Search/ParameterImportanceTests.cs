using MlExperiments.Shared.Search;

namespace MlExperiments.Shared.Tests.Search;

/// <summary>On functions whose variance is known.</summary>
[TestFixture]
public sealed class ParameterImportanceTests
{
    [Test]
    public void Measure_CompleteGridOfSums_IsTheAnalysisOfVariance()
    {
        // Variances 9 x 2/3 and 2/3 on three equally likely values.
        var grid = Grid(3, 3);

        var result = Measure(grid, row => (3 * row[0]) + row[1]);

        Assert.That(result.IsGrid, Is.True);
        Assert.That(result.Parameters.Select(parameter => (parameter.Name, parameter.Share, parameter.Values)), Is.EqualTo(new[] { ("p0", 0.9, 3), ("p1", 0.1, 3) }));
        Assert.That(result.Pairs.Single().Share, Is.Zero);
        Assert.That(result.Others, Is.Zero);
        Assert.That(result.Explained, Is.Null, "nothing was repeated");
    }

    [Test]
    public void Measure_CompleteGridOfExclusiveOr_IsThePairAlone()
    {
        var result = Measure(Grid(2, 2, 2), row => row[0] == row[1] ? 1 : 0);

        Assert.That(result.Parameters.Select(parameter => parameter.Share), Is.All.Zero);
        Assert.That(result.Pairs[0], Is.EqualTo(new PairShare("p0", "p1", 1)));
        Assert.That(result.Pairs.Skip(1).Select(pair => pair.Share), Is.All.Zero);
    }

    [Test]
    public void Measure_CompleteGridOfParityOfThree_IsOthersAlone()
    {
        var result = Measure(Grid(2, 2, 2), row => (row[0] + row[1] + row[2]) % 2);

        Assert.That(result.Others, Is.EqualTo(1));
        Assert.That(result.Pairs.Select(pair => pair.Share), Is.All.Zero);
    }

    [Test]
    public void Measure_RepeatedGrid_SaysWhatIsNotChance()
    {
        // Each combination twice, 1 apart: the chance has a variance of 1/4, the effect one of 1.
        var grid = Grid(2, 2).SelectMany(row => new[] { row, row }).ToArray();
        var values = grid.Select((row, index) => (2 * row[0]) + (index % 2)).ToArray();

        var result = Measure(grid, values);

        Assert.That(result.Explained, Is.EqualTo(0.8));
        Assert.That(result.Parameters[0], Is.EqualTo(new ParameterShare("p0", 1, 2)));
    }

    [Test]
    public void Measure_GridWhoseMeansAreEqual_SaysSo()
    {
        ParameterColumn[] columns = [new("p0", [1, 1, 2, 2])];

        Assert.That(ParameterImportance.Measure(columns, [0.9, 0.8, 0.9, 0.8], out var reason), Is.Null);
        Assert.That(reason, Does.StartWith("The combinations' means are equal"));
    }

    [Test]
    public void Measure_ManyParameters_MeasuresPairsOfTheMostImportant()
    {
        var rows = Sample(2000, 22);
        var values = rows.Select(row => row[3] + (2 * row[20]) + (row[3] * row[20])).ToArray();
        var before = Environment.CpuUsage.TotalTime;

        var result = Measure(rows, values);

        TestContext.Out.WriteLine($"{(Environment.CpuUsage.TotalTime - before).TotalMilliseconds:F0} ms of the processor");
        Assert.That(result.Parameters, Has.Count.EqualTo(22));
        Assert.That(result.Pairs, Has.Count.EqualTo(ParameterImportance.MaxPaired * (ParameterImportance.MaxPaired - 1) / 2));
        Assert.That((result.Pairs[0].First, result.Pairs[0].Second), Is.EqualTo(("p3", "p20")));
    }

    [Test]
    public void Measure_Cancelled_Stops()
    {
        var rows = Sample(100, 2);
        ParameterColumn[] columns = [new("p0", [.. rows.Select(row => row[0])])];

        Assert.Throws<OperationCanceledException>(() => ParameterImportance.Measure(columns, [.. rows.Select(row => row[1])], out _, new(canceled: true)));
    }

    [Test]
    public void Measure_RandomSample_FindsTheSharesOfTheFunction()
    {
        // Variances: 16/12 of the first, 4/12 of the second, 4/12 each of the next two and 16/144 of them together; 0 of the last.
        var result = Measure(Sample(1500, 5), row => (4 * row[0]) + (2 * row[1]) + (4 * row[2] * row[3]));

        Assert.That(result.IsGrid, Is.False);
        Assert.That(result.Explained, Is.GreaterThan(0.9));
        var shares = result.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Share);
        Assert.That(result.Parameters[0].Name, Is.EqualTo("p0"));
        Assert.That(shares["p0"], Is.EqualTo(0.545).Within(0.05));
        Assert.That(shares["p1"], Is.EqualTo(0.136).Within(0.04));
        Assert.That(shares["p2"], Is.EqualTo(0.136).Within(0.04));
        Assert.That(shares["p3"], Is.EqualTo(0.136).Within(0.04));
        Assert.That(shares["p4"], Is.LessThan(0.01));
        Assert.That((result.Pairs[0].First, result.Pairs[0].Second), Is.EqualTo(("p2", "p3")));
        Assert.That(result.Pairs[0].Share, Is.EqualTo(0.045).Within(0.03));
        Assert.That(result.Pairs.Skip(1).Select(pair => pair.Share), Is.All.LessThan(0.015));
    }

    [Test]
    public void Measure_RandomSample_FindsAPairThatShowsOnlyTogether()
    {
        // Half, an eighth, and three eighths by the pair alone, of which a forest sees a part.
        var result = Measure(Sample(1500, 5), row => (4 * row[0]) + (2 * row[1]) + (12 * (row[2] - 0.5) * (row[3] - 0.5)));

        Assert.That(result.Pairs[0], Is.EqualTo(new PairShare("p2", "p3", 0.24)).Using<PairShare>((one, other) =>
            (one.First, one.Second) == (other.First, other.Second) && Math.Abs(one.Share - other.Share) < 0.14));
        Assert.That(result.Pairs.Skip(1).Select(pair => pair.Share), Is.All.LessThan(0.02));
        Assert.That(result.Parameters.Skip(2).Select(parameter => parameter.Share), Is.All.LessThan(0.01));
    }

    [Test]
    public void Measure_ScaleOfAParameter_DoesNotMatter()
    {
        var rows = Sample(300, 2);
        var values = rows.Select(row => row[0] + (row[1] * row[1])).ToArray();

        var linear = Measure(rows, values);
        var logarithmic = Measure([.. rows.Select(row => new[] { Math.Pow(10, -5 * (1 - row[0])), row[1] })], values);

        Assert.That(logarithmic.Parameters, Is.EqualTo(linear.Parameters));
    }

    [Test]
    public void Measure_GridWithHoles_IsCloseToTheWholeGrid()
    {
        var random = new Random(5);
        var grid = Grid(4, 4, 4).Where(_ => random.NextDouble() < 0.8).ToArray();

        var result = Measure(grid, row => (2 * row[0]) + row[1]);

        Assert.That(result.IsGrid, Is.False);
        Assert.That(result.Parameters.Select(parameter => parameter.Name).Take(2), Is.EqualTo(new[] { "p0", "p1" }));
        Assert.That(result.Parameters[0].Share, Is.EqualTo(0.8).Within(0.1));
        Assert.That(result.Parameters[2].Share, Is.LessThan(0.05));
    }

    [Test]
    public void Measure_OfChanceAlone_SaysThatItKnowsNothing()
    {
        var random = new Random(11);

        Assert.That(Measure(Sample(200, 2), _ => random.NextDouble()).Explained, Is.LessThan(0.2));
    }

    [Test]
    public void Measure_Twice_IsTheSame()
    {
        var rows = Enumerable.Range(0, 50).Select(index => new[] { index * 7 % 50, (double)(index * index % 31) }).ToArray();

        var first = Measure(rows, row => row[0] * row[1]);

        Assert.That(Measure(rows, row => row[0] * row[1]).Parameters, Is.EqualTo(first.Parameters));
    }

    [TestCase(3, 1, 1, "takes 4 at least")]
    [TestCase(5, 0, 1, "differ in no parameter")]
    [TestCase(5, 1, 0, "the same for all")]
    public void Measure_WhatCannotBeMeasured_SaysWhy(int count, int parameterSlope, int metricSlope, string words)
    {
        double[] Values(int slope) => [.. Enumerable.Range(0, count).Select(index => (double)index * slope)];

        Assert.That(ParameterImportance.Measure([new("p0", Values(parameterSlope))], Values(metricSlope), out var reason), Is.Null);
        Assert.That(reason, Does.Contain(words));
    }

    /// <summary>Evenly over 0 to 1, the same each time.</summary>
    private static double[][] Sample(int count, int dimensions)
    {
        var random = new Random(7);
        return [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, dimensions).Select(_ => random.NextDouble()).ToArray())];
    }

    private static double[][] Grid(params int[] counts) => counts.Aggregate(
        new[] { Array.Empty<double>() },
        (rows, count) => [.. rows.SelectMany(row => Enumerable.Range(0, count).Select(value => row.Append(value).ToArray()))]);

    private static ImportanceResult Measure(double[][] rows, Func<double[], double> metric) => Measure(rows, [.. rows.Select(metric)]);

    private static ImportanceResult Measure(double[][] rows, double[] values)
    {
        ParameterColumn[] columns = [.. Enumerable.Range(0, rows[0].Length).Select(place => new ParameterColumn($"p{place}", [.. rows.Select(row => row[place])]))];
        return ParameterImportance.Measure(columns, values, out var reason) ?? throw new AssertionException(reason!);
    }
}
