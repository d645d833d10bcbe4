using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Analysis;

/// <summary>What a model's experiments say together.</summary>
internal static class AnalysisEndpoints
{
    public const int MaxPoints = 5_000;

    /// <summary>A forest of more takes seconds and says the same.</summary>
    private const int MaxUsed = 2_000;

    private const int MaxPairs = 20;

    /// <summary>Of a sample, as many as this are the best.</summary>
    private const int AlwaysShown = 100;

    /// <summary>A measurement keeps a core busy; the others are for all the rest.</summary>
    private static readonly SemaphoreSlim Measuring = new(2);

    private const string AboutMetric = "accuracy (the default), testAccuracy, loss, meanSquaredError or durationSeconds: what is compared.";
    private const string Metrics = "metric is accuracy, testAccuracy, loss, meanSquaredError or durationSeconds.";

    public static void MapAnalysis(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models/{id:guid}").WithTags("Analysis");
        group.MapGet("/experiments/points", GetPoints)
            .WithSummary("A model's experiments as points over their parameters, in columns, for charts and notebooks")
            .WithDescription(
                "Those that have the metric, filtered as the list is, best first. Of more than limit, it is the best hundred and a random sample of the others, which is the " +
                "same each time. Parameters are those in which they differ.")
            .WithExamples(response: """
                {"metric": "accuracy", "direction": "maximize", "count": 2, "unmeasured": 1, "shown": 2, "dataSetVersions": 1,
                 "ids": ["01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e10"], "numbers": [5, 6],
                 "names": ["lr 0.001, layers 2, steps 2000", "lr 0.01, layers 2, steps 2000"], "values": [0.989, 0.971],
                 "parameters": [{"name": "learningRate", "numbers": [0.001, 0.01], "words": null}]}
                """)
            .Fails(400, 404);
        group.MapGet("/importance", GetImportance)
            .WithSummary("Which parameters decide a metric: the share of its variance that each explains, and each pair")
            .WithDescription(
                "Functional analysis of variance (Hutter, Hoos and Leyton-Brown 2014): exact where every combination of the values was measured, else of a random forest's " +
                "prediction. Every value that was tried counts alike. Seeds are chance, not parameters, and experiments that were adjusted while they trained are left out. " +
                "It speaks of the values that were tried only, can't tell apart parameters that were changed together, and a few extreme losses rule the variance of a loss: filter " +
                "them out. At most 2,000 experiments are used, a random sample that is the same each time.")
            .WithExamples(response: """
                {"metric": "accuracy", "count": 27, "used": 27, "dataSetVersions": 1, "method": "grid", "explained": null,
                 "parameters": [{"name": "learningRate", "share": 0.71, "values": 3}, {"name": "layers", "share": 0.12, "values": 3}, {"name": "steps", "share": 0.06, "values": 3}],
                 "pairs": [{"first": "learningRate", "second": "layers", "share": 0.08}], "others": 0.03, "reason": null}
                """)
            .Fails(400, 404);
    }

    private static async Task<Results<Ok<PointsResponse>, ValidationProblem, ProblemHttpResult>> GetPoints(
        Guid id,
        [AsParameters] ExperimentQuery query,
        ExperimentsDbContext db,
        [Description(AboutMetric), AllowedValues("accuracy", "testAccuracy", "loss", "meanSquaredError", "durationSeconds", ErrorMessage = Metrics)] string metric = "accuracy",
        [Description("At most so many, 1 to 5,000."), Range(1, MaxPoints, ErrorMessage = "limit is 1 to 5000.")] int limit = MaxPoints,
        CancellationToken cancellationToken = default)
    {
        var experiments = query.Apply(db.Experiments.AsNoTracking().Where(experiment => experiment.ModelId == id), out var problem);
        if (problem is not null)
            return problem;
        var all = await experiments.CountAsync(cancellationToken);
        if (all == 0 && !await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        var measured = experiments.With(metric);
        var count = await measured.CountAsync(cancellationToken);
        var rows = await measured.Best(metric, count <= limit ? limit : Math.Min(AlwaysShown, limit)).ReadAsync(metric, cancellationToken);
        if (rows.Count < Math.Min(count, limit))
        {
            var best = rows.Select(row => row.Id).ToHashSet();
            var others = (await measured.Sample(limit).ReadAsync(metric, cancellationToken)).Where(row => !best.Contains(row.Id)).Take(limit - best.Count);
            rows.AddRange(MeasuredExperiments.Maximizes(metric) ? others.OrderByDescending(row => row.Value) : others.OrderBy(row => row.Value));
        }

        return TypedResults.Ok(new PointsResponse(
            metric,
            MeasuredExperiments.Maximizes(metric) ? "maximize" : "minimize",
            count,
            all - count,
            rows.Count,
            rows.Select(row => row.DataSetVersionId).Distinct().Count(),
            [.. rows.Select(row => row.Id)],
            [.. rows.Select(row => row.Number)],
            [.. rows.Select(row => row.Name)],
            [.. rows.Select(row => row.Value)],
            MeasuredExperiments.Columns(rows)));
    }

    private static async Task<Results<Ok<ImportanceResponse>, ValidationProblem, ProblemHttpResult>> GetImportance(
        Guid id,
        [AsParameters] ExperimentQuery query,
        ExperimentsDbContext db,
        [Description(AboutMetric), AllowedValues("accuracy", "testAccuracy", "loss", "meanSquaredError", "durationSeconds", ErrorMessage = Metrics)] string metric = "accuracy",
        CancellationToken cancellationToken = default)
    {
        var experiments = query.Apply(db.Experiments.AsNoTracking().Where(experiment => experiment.ModelId == id), out var problem);
        if (problem is not null)
            return problem;
        var measured = experiments.With(metric).Where(experiment => !EF.Functions.JsonExists(experiment.Parameters, MeasuredExperiments.Changes));
        var count = await measured.CountAsync(cancellationToken);
        if (count == 0 && !await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        var rows = await measured.Sample(MaxUsed).ReadAsync(metric, cancellationToken);
        ParameterColumn[] columns = [.. MeasuredExperiments.Columns(rows).Where(column => column.Name != "seed").Select(Encode)];
        var (result, reason) = await MeasureAsync(columns, [.. rows.Select(row => row.Value)], cancellationToken);
        return TypedResults.Ok(new ImportanceResponse(
            metric,
            count,
            rows.Count,
            rows.Select(row => row.DataSetVersionId).Distinct().Count(),
            result is null ? null : result.IsGrid ? "grid" : "forest",
            result?.Explained,
            result?.Parameters ?? [],
            result?.Pairs.Take(MaxPairs).ToArray() ?? [],
            result?.Others ?? 0,
            reason));
    }

    private static async Task<(ImportanceResult? Result, string? Reason)> MeasureAsync(ParameterColumn[] columns, double[] values, CancellationToken cancellationToken)
    {
        await Measuring.WaitAsync(cancellationToken);
        try
        {
            return (ParameterImportance.Measure(columns, values, out var reason, cancellationToken), reason);
        }
        finally
        {
            Measuring.Release();
        }
    }

    private static ParameterColumn Encode(PointColumn column)
    {
        if (column.Numbers is { } numbers)
            return new(column.Name, numbers);
        var words = column.Words!.Distinct().Order(StringComparer.Ordinal).ToArray();
        return new(column.Name, [.. column.Words!.Select(word => (double)Array.IndexOf(words, word))]);
    }
}
