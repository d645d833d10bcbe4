using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Shared.Search;
using Npgsql;

namespace MlExperiments.Api.Experiments;

/// <summary>Makes experiments, and has them trained.</summary>
internal static class GenerateEndpoints
{
    internal const int MaxExperiments = 10_000;

    // A range has five; one more is misspelt, and these many are something else.
    private const int MaxRangeMembers = 20;

    public static void MapGenerate(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/models/{id:guid}").WithTags("Experiments");
        group.MapPost("/experiments", GenerateExperiments)
            .WithSummary("Generates experiments and starts them: without a body the 27 of three learning rates, depths and lengths")
            .WithDescription(
                "Every combination of the space's values becomes an experiment on the model's present images. What the model has already is " +
                "not trained again but answered as existing, and drafts among it are queued when start is true. Where everything existed, " +
                "the answer is 200 and there is no new study. At most 10,000 experiments a request.")
            .WithExamples(
                """
                {"name": "Learning rates", "space": {"learningRate": {"min": 0.0001, "max": 0.1, "scale": "log", "count": 4}, "steps": [1000, 2000]},
                 "fixed": {"layers": 2, "batchSize": 64}, "strategy": {"sampler": "grid"},
                 "objective": {"metric": "accuracy", "direction": "maximize"}, "start": true}
                """,
                "{\"id\": \"01980c3f-0a0b-7c0d-8e0f-1a2b3c4d5e6f\", \"name\": \"Learning rates\", \"modelId\": \"01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d\", \"trajectories\": 4, \"experiments\": ["
                + ExperimentsEndpoints.QueuedExample + "], \"existing\": []}")
            .WithExample(200, "{\"id\": null, \"name\": null, \"modelId\": \"01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d\", \"trajectories\": 1, \"experiments\": [], \"existing\": ["
                + ExperimentsEndpoints.QueuedExample + "]}")
            .WithExample(409, """{"title": "Conflict", "status": 409, "detail": "The model has no images: upload some first."}""")
            .Fails(400, 404, 409, 413, 415);
        group.MapPost("/train", TrainDrafts)
            .WithSummary("Queues every draft experiment of the model; none left is no error")
            .WithDescription("Drafts are what was generated with start false. Workers take them by priority and age.")
            .WithExamples(response: """{"queued": 27}""")
            .WithExample(409, Problems.ArchivedExample)
            .Fails(404, 409);
    }

    private static async Task<Results<Created<GenerateResponse>, Ok<GenerateResponse>, ValidationProblem, ProblemHttpResult>> GenerateExperiments(
        Guid id,
        ExperimentsDbContext db,
        NpgsqlDataSource database,
        IBlobStore blobs,
        IJobQueue queue,
        [FromBody] GenerateRequest? request = null,
        CancellationToken cancellationToken = default)
    {
        request ??= new GenerateRequest();
        if (ReadSpace(request, out var errors) is not { } space)
            return Problems.Invalid(errors);
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(id);
        var (manifest, reason) = await DataSetVersions.ReadManifestAsync(db, id, cancellationToken);
        if (manifest is null)
            return Problems.Conflict(reason!);
        var parameters = GridSampler.Sample(space, manifest.TrainCount, out errors);
        if (errors.Count > 0)
            return Problems.Invalid(errors);

        var name = request.Name is { } given ? await Texts.NormalizeAsync(database, given.Trim(), cancellationToken) : ExperimentNames.OfStudy(space);
        if (Texts.Problem(name, Study.MaxNameLength) is { } problem)
            return Problems.Invalid("name", $"A name has {problem}.");
        if (await DataSetVersions.KeepAsync(db, blobs, model, manifest, cancellationToken) is not { } version)
            return Problems.NotFound("model", id);
        var plan = new GenerationPlan(model, version, name, Definition(request, space), parameters, ExperimentNames.Of(parameters, space), request.Start);
        if (await new ExperimentGenerator(db, queue).GenerateAsync(plan, cancellationToken) is not { } generated)
            return Problems.NotFound("model", id);
        var response = new GenerateResponse(
            generated.StudyId,
            generated.StudyId is null ? null : name,
            id,
            generated.Trajectories,
            await ReadAsync(db, generated.Created, cancellationToken),
            await ReadAsync(db, generated.Existing, cancellationToken));
        return generated.StudyId is { } study ? TypedResults.Created($"/api/studies/{study}", response) : TypedResults.Ok(response);
    }

    private static async Task<Results<Ok<TrainResponse>, ProblemHttpResult>> TrainDrafts(
        Guid id, ExperimentsDbContext db, IJobQueue queue, CancellationToken cancellationToken)
    {
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken) is not { } model)
            return Problems.NotFound("model", id);
        if (model.ArchivedAt is not null)
            return Problems.Archived(id);
        return TypedResults.Ok(new TrainResponse(await TrajectoryQueue.QueueDraftsAsync(db, queue, id, cancellationToken)));
    }

    /// <summary>The space that a request asks for, or what is wrong with the request.</summary>
    private static SearchSpace? ReadSpace(GenerateRequest request, out Dictionary<string, string[]> errors)
    {
        if (FindTooLong(request) is { } tooLong)
        {
            errors = tooLong;
            return null;
        }

        var space = SearchSpace.Read(request.Space, request.Fixed ?? [], out errors);
        foreach (var limit in (request.Limits?.Keys ?? Enumerable.Empty<string>()).Take(ParameterDefinition.All.Count))
            errors.TryAdd($"limits.{limit}", ["Limits are not supported by this version: leave them out."]);
        if (request.Strategy?.Samples is not null)
            errors.TryAdd("strategy.samples", ["grid takes every combination: leave samples out."]);
        if (request.Force)
            errors.TryAdd("force", ["Training again what exists is not supported by this version: leave force out or false."]);
        if (space?.Size > MaxExperiments)
            errors.TryAdd("space", [$"These are {space.Size:N0} experiments, and {MaxExperiments:N0} is the most of one request: narrow the space, or divide it."]);
        return errors.Count == 0 ? space : null;
    }

    /// <summary>Before anything is read: a value or an error for each of a hundred thousand items would cost more memory than the service has.</summary>
    private static Dictionary<string, string[]>? FindTooLong(GenerateRequest request)
    {
        foreach (var (field, names) in new[] { ("space", request.Space), ("fixed", request.Fixed) })
        {
            if (names?.Count > ParameterDefinition.All.Count)
                return new() { [field] = [$"There are {ParameterDefinition.All.Count} parameters, and here are {names.Count}: {string.Join(", ", ParameterDefinition.All.Keys)}."] };
            foreach (var (name, value) in names ?? [])
            {
                var (count, most) = value.ValueKind switch
                {
                    JsonValueKind.Array => (value.GetArrayLength(), ValueRange.MaxValues),
                    JsonValueKind.Object => (value.GetPropertyCount(), MaxRangeMembers),
                    _ => (0, 0),
                };
                if (count > most)
                    return new() { [$"{field}.{name}"] = [$"These are {count:N0} entries; at most {most:N0} are taken: a long list is better written as a range."] };
            }
        }

        return null;
    }

    private static JsonElement Definition(GenerateRequest request, SearchSpace space)
    {
        var strategy = request.Strategy ?? new StrategyRequest();
        var objective = request.Objective ?? new ObjectiveRequest();
        return JsonSerializer.SerializeToElement(new
        {
            space = space.Dimensions.Where(dimension => request.Fixed?.ContainsKey(dimension.Name) != true)
                .ToDictionary(dimension => dimension.Name, dimension => dimension.Values),
            @fixed = request.Fixed ?? [],
            strategy = new { sampler = strategy.Sampler },
            objective = new { metric = objective.Metric, direction = objective.Direction },
            limits = new { },
        });
    }

    private static async Task<IReadOnlyList<ExperimentResponse>> ReadAsync(ExperimentsDbContext db, IReadOnlyList<Guid> ids, CancellationToken cancellationToken) =>
        ids.Count == 0
            ? []
            : await db.Experiments.Where(experiment => ids.Contains(experiment.Id)).OrderBy(experiment => experiment.Number).ToResponsesAsync(db, cancellationToken);
}
