using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>An experiment's results by class.</summary>
internal static class ClassesEndpoints
{
    private const string NotKept =
        "The experiment has no results by class: it was completed before they were kept, or it has more than 10,000 classes. Generate it with force to train it again.";

    public static void MapClasses(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/api/experiments/{id:guid}/classes", GetClasses)
            .WithTags("Experiments")
            .WithSummary("A completed experiment by class: confusion matrix, precision, recall, F1, and the worst images")
            .WithDescription(
                "Measured at the experiment's last step, on the whole validation split and on the test split where there is one. The matrix is there for up to 100 classes; " +
                "the pairs that are confused most are there for any number. Of more than 100 classes the 9,900 most frequent pairs are kept.")
            .WithExamples(response: """
                {"experimentId": "01980c3f-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
                 "validation": {"images": 200, "accuracy": 0.985, "macro": {"precision": 0.985, "recall": 0.985, "f1": 0.985},
                   "classes": [{"label": "cat", "support": 100, "predicted": 101, "right": 99, "precision": 0.9802, "recall": 0.99, "f1": 0.9851},
                               {"label": "dog", "support": 100, "predicted": 99, "right": 98, "precision": 0.9899, "recall": 0.98, "f1": 0.9849}],
                   "matrix": [[99, 1], [2, 98]],
                   "confusions": [{"label": "dog", "predicted": "cat", "images": 2}, {"label": "cat", "predicted": "dog", "images": 1}],
                   "worst": [{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "label": "dog", "predicted": "cat", "probability": 0.997,
                              "labelProbability": 0.003, "imageId": "01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f", "content": "/api/images/01980c40-2b3c-7d4e-9f50-6a7b8c9d0e1f/content"}]},
                 "test": null}
                """)
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The experiment is running: it has results by class once it is completed."}""")
            .Fails(400, 404, 409);

    private static async Task<Results<Ok<ClassesResponse>, ValidationProblem, ProblemHttpResult>> GetClasses(
        Guid id,
        ExperimentsDbContext db,
        [Description("At most so many confusions, 0 to 9,900."), Range(0, ClassMeasurement.MaxConfusions, ErrorMessage = "pairs is 0 to 9900.")] int pairs = 100,
        CancellationToken cancellationToken = default)
    {
        var found = await (
            from experiment in db.Experiments
            join version in db.DataSetVersions on experiment.Trajectory!.DataSetVersionId equals version.Id
            where experiment.Id == id
            select new { experiment.Status, experiment.ModelId, version.Classes }).SingleOrDefaultAsync(cancellationToken);
        if (found is null)
            return Problems.NotFound("experiment", id);
        if (found.Status != ExperimentStatus.Completed)
            return Problems.Conflict($"The experiment is {StatusCounts.Name(found.Status)}: it has results by class once it is completed.");
        if (await db.ExperimentClasses.AsNoTracking().SingleOrDefaultAsync(classes => classes.ExperimentId == id, cancellationToken) is not { } row)
            return TypedResults.Problem(NotKept, statusCode: StatusCodes.Status404NotFound);

        var validation = Read(row.Validation);
        var test = row.Test is { } stored ? Read(stored) : null;
        var images = await FindImagesAsync(db, found.ModelId, [validation, .. test is null ? [] : new[] { test }], cancellationToken);
        return TypedResults.Ok(new ClassesResponse(
            id, ToResults(validation, found.Classes, pairs, images), test is null ? null : ToResults(test, found.Classes, pairs, images)));
    }

    private static ClassMeasurement Read(JsonElement stored) => stored.Deserialize<ClassMeasurement>(ContractJson.Options)!;

    /// <summary>Those of the worst images that the model still has, by hash.</summary>
    private static async Task<Dictionary<string, Guid>> FindImagesAsync(
        ExperimentsDbContext db, Guid modelId, ClassMeasurement[] measured, CancellationToken cancellationToken)
    {
        byte[][] hashes = [.. measured.SelectMany(each => each.Worst).Select(image => image.Sha256).OfType<string>().Select(Convert.FromHexString)];
        var images = await db.Images.Where(image => image.ModelId == modelId && hashes.Contains(image.Sha256))
            .Select(image => new { image.Id, image.Sha256 }).ToListAsync(cancellationToken);
        return images.ToDictionary(image => Convert.ToHexStringLower(image.Sha256), image => image.Id);
    }

    private static ClassResults ToResults(ClassMeasurement measured, string[] names, int pairs, Dictionary<string, Guid> images)
    {
        var macro = ClassScores.Macro(measured);
        var total = measured.Images.Sum();
        return new ClassResults(
            total,
            total == 0 ? 0 : (double)measured.Right.Sum() / total,
            new ClassMeans(macro.Precision, macro.Recall, macro.F1),
            [
                .. ClassScores.Of(measured).Select((score, c) => new ClassResult(
                    names[c], measured.Images[c], measured.Predicted[c], measured.Right[c], score.Precision, score.Recall, score.F1)),
            ],
            names.Length <= ClassMeasurement.MaxMatrixClasses ? Matrix(measured) : null,
            [.. measured.Confusions.Take(pairs).Select(pair => new ConfusedClasses(names[pair.Label], names[pair.Predicted], pair.Images))],
            [.. measured.Worst.Select(image => ToWorst(image, names, images))]);
    }

    private static int[][] Matrix(ClassMeasurement measured)
    {
        int[][] matrix = [.. measured.Right.Select((right, c) =>
        {
            var row = new int[measured.Right.Count];
            row[c] = right;
            return row;
        })];
        foreach (var (label, predicted, images) in measured.Confusions)
            matrix[label][predicted] = images;
        return matrix;
    }

    private static WorstImage ToWorst(WrongImage image, string[] names, Dictionary<string, Guid> images)
    {
        Guid? id = image.Sha256 is { } hash && images.TryGetValue(hash, out var found) ? found : null;
        return new WorstImage(
            image.Sha256, names[image.Label], names[image.Predicted], image.Probability, image.LabelProbability, id, id is null ? null : $"/api/images/{id}/content");
    }
}
