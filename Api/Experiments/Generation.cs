using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Shared.Search;
using Npgsql;

namespace MlExperiments.Api.Experiments;

/// <summary>What a request to generate works with.</summary>
internal sealed record GenerationServices(ExperimentsDbContext Db, NpgsqlDataSource Database, IBlobStore Blobs, TicketQueue Queue, TimeProvider Time);

/// <param name="Sampled">The space, with a seed for each replicate.</param>
/// <param name="Space">As it was asked for.</param>
/// <param name="Parameters">All different.</param>
internal sealed record PreparedGeneration(Model Model, DataSetManifest Manifest, SearchSpace Sampled, SearchSpace Space, IReadOnlyList<ExperimentParameters> Parameters);

/// <summary>Answers a request to generate: a new one, or that of a study once more.</summary>
internal static class Generation
{
    internal const int MaxExperiments = 10_000;

    // A range has five; one more is misspelt, and these many are something else.
    private const int MaxRangeMembers = 20;

    public static async Task<Results<Created<GenerateResponse>, Ok<GenerateResponse>, ValidationProblem, ProblemHttpResult>> RunAsync(
        GenerationServices services, Guid modelId, GenerateRequest request, CancellationToken cancellationToken)
    {
        var (db, database, blobs, queue, time) = services;
        var (prepared, invalid, refusal) = await PrepareAsync(db, time, modelId, request, cancellationToken);
        if (prepared is null)
            return invalid is not null ? invalid : refusal!;
        var (model, manifest, sampled, space, parameters) = prepared;
        var name = request.Name is { } given ? await Texts.NormalizeAsync(database, given.Trim(), cancellationToken) : ExperimentNames.OfStudy(sampled);
        if (Texts.Problem(name, Study.MaxNameLength) is { } problem)
            return Problems.Invalid("name", $"A name has {problem}.");
        if (await DataSetVersions.KeepAsync(db, blobs, model, manifest, cancellationToken) is not { } version)
            return Problems.NotFound("model", modelId);
        var plan = new GenerationPlan(
            model,
            version,
            name,
            StudyDefinition.Of(request, space).ToJson(),
            request,
            parameters,
            ExperimentNames.Of(parameters, sampled));
        if (await new ExperimentGenerator(db, queue, time).GenerateAsync(plan, cancellationToken) is not { } generated)
            return Problems.NotFound("model", modelId);
        var response = new GenerateResponse(
            generated.StudyId,
            generated.StudyId is null ? null : name,
            modelId,
            generated.Trajectories,
            await ReadAsync(db, generated.Created, cancellationToken),
            await ReadAsync(db, generated.Existing, cancellationToken));
        return generated.StudyId is { } study ? TypedResults.Created($"/api/studies/{study}", response) : TypedResults.Ok(response);
    }

    /// <summary>What a request asks for, or what is wrong with it or with the model.</summary>
    public static async Task<(PreparedGeneration? Prepared, ValidationProblem? Invalid, ProblemHttpResult? Refusal)> PrepareAsync(
        ExperimentsDbContext db, TimeProvider time, Guid modelId, GenerateRequest request, CancellationToken cancellationToken)
    {
        if (ReadSpace(request, time.GetUtcNow(), out var errors) is not { } space)
            return (null, Problems.Invalid(errors), null);
        if (await db.Models.AsNoTracking().SingleOrDefaultAsync(candidate => candidate.Id == modelId, cancellationToken) is not { } model)
            return (null, null, Problems.NotFound("model", modelId));
        if (model.ArchivedAt is not null)
            return (null, null, Problems.Archived(modelId));
        var (manifest, reason) = await DataSetVersions.ReadManifestAsync(db, modelId, cancellationToken);
        if (manifest is null)
            return (null, null, Problems.Conflict(reason!));
        var sampled = space.WithReplicates(request.Replicates, out _)!;
        var parameters = GridSampler.Sample(sampled, manifest.TrainCount, out errors);
        return errors.Count > 0 ? (null, Problems.Invalid(errors), null) : (new(model, manifest, sampled, space, parameters), null, null);
    }

    /// <summary>The space that a request asks for, or what is wrong with the request.</summary>
    private static SearchSpace? ReadSpace(GenerateRequest request, DateTimeOffset now, out Dictionary<string, string[]> errors)
    {
        if (FindTooLong(request) is { } tooLong)
        {
            errors = tooLong;
            return null;
        }

        var space = SearchSpace.Read(request.Space, request.Fixed ?? [], out errors);
        if (request.Strategy?.Samples is not null)
            errors.TryAdd("strategy.samples", ["grid takes every combination: leave samples out."]);
        if (request.StartAt > now.AddYears(10))
            errors.TryAdd("startAt", ["startAt is up to ten years ahead."]);
        if (space is null)
            return null;
        if (space.WithReplicates(request.Replicates, out var error) is not { } sampled)
            errors.TryAdd("replicates", [error!]);
        else if (sampled.Size > MaxExperiments)
            errors.TryAdd("space", [$"These are {sampled.Size:N0} experiments, and {MaxExperiments:N0} is the most of one request: narrow the space, or divide it."]);
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

    private static async Task<IReadOnlyList<ExperimentResponse>> ReadAsync(ExperimentsDbContext db, IReadOnlyList<Guid> ids, CancellationToken cancellationToken) =>
        ids.Count == 0
            ? []
            : await db.Experiments.Where(experiment => ids.Contains(experiment.Id)).OrderBy(experiment => experiment.Number).ToResponsesAsync(db, cancellationToken);
}
