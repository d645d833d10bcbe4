using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Workers;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Experiments;

/// <summary>Says what a request to generate would come to, and makes nothing.</summary>
internal static class GenerationPreview
{
    /// <summary>Experiments of the model that its speed is estimated from: the latest.</summary>
    private const int Remembered = 1000;

    public static async Task<Results<Ok<PreviewResponse>, ValidationProblem, ProblemHttpResult>> RunAsync(
        ExperimentsDbContext db, TimeProvider time, Guid modelId, GenerateRequest request, CancellationToken cancellationToken)
    {
        var (prepared, invalid, refusal) = await Generation.PrepareAsync(db, time, modelId, request, cancellationToken);
        if (prepared is null)
            return invalid is not null ? invalid : refusal!;
        var hash = prepared.Manifest.Hash;
        var wanted = prepared.Parameters.ToDictionary(parameters => Fingerprint.OfExperiment(modelId, hash, parameters));
        var fingerprints = wanted.Keys.ToArray();
        HashSet<string> existing = request.Force
            ? []
            : await db.Experiments.Where(experiment => fingerprints.Contains(experiment.Fingerprint)).Select(experiment => experiment.Fingerprint).ToHashSetAsync(cancellationToken);

        var trainings = wanted.Where(entry => !existing.Contains(entry.Key))
            .GroupBy(entry => Fingerprint.OfTrajectory(modelId, hash, entry.Value.WithoutSteps()), entry => entry.Value)
            .ToDictionary(group => group.Key, group => group.MaxBy(parameters => parameters.Steps)!);
        var trajectories = trainings.Keys.ToArray();
        // What has been trained of them for other experiments.
        var done = request.Force
            ? []
            : await db.Checkpoints.Where(checkpoint => db.Trajectories.Any(row => row.Id == checkpoint.TrajectoryId && trajectories.Contains(row.Fingerprint)))
                .GroupBy(checkpoint => db.Trajectories.First(row => row.Id == checkpoint.TrajectoryId).Fingerprint)
                .Select(group => new { group.Key, Step = group.Max(checkpoint => checkpoint.Step) })
                .ToDictionaryAsync(group => group.Key, group => group.Step, cancellationToken);
        var work = trainings.Select(training => (Parameters: training.Value, Steps: Math.Max(0, training.Value.Steps - done.GetValueOrDefault(training.Key)))).ToList();
        var slots = await db.Database.SqlQuery<int>(
            $"""
            SELECT COALESCE(sum(slots), 0)::int AS "Value" FROM workers
            WHERE stopped_at IS NULL AND last_seen_at > now() - {AliveWorkers.Silence} AND {prepared.Model.Trainer} = ANY (trainers)
            """).SingleAsync(cancellationToken);
        return TypedResults.Ok(new PreviewResponse(
            prepared.Parameters.Count - existing.Count,
            existing.Count,
            trainings.Count,
            work.Sum(training => (long)training.Steps),
            slots,
            await EstimateAsync(db, modelId, work, slots, cancellationToken)));
    }

    /// <summary>At the speed of the model's latest experiments: of those of the same architecture with as many layers, in the same precision, else in any, else of all.</summary>
    private static async Task<double?> EstimateAsync(
        ExperimentsDbContext db, Guid modelId, List<(ExperimentParameters Parameters, int Steps)> work, int slots, CancellationToken cancellationToken)
    {
        var trained = await db.Experiments
            .Where(experiment => experiment.ModelId == modelId && experiment.Status == ExperimentStatus.Completed && experiment.DurationSeconds > 0)
            .OrderByDescending(experiment => experiment.FinishedAt).Take(Remembered)
            .Select(experiment => new { experiment.Parameters, experiment.DurationSeconds, Steps = experiment.EndedAtStep ?? experiment.TotalSteps })
            .ToListAsync(cancellationToken);
        if (trained.Count == 0)
            return null;
        var costs = trained
            .Select(experiment => (Parameters: ExperimentRows.ReadParameters(experiment.Parameters), SecondsPerStep: experiment.DurationSeconds!.Value / experiment.Steps))
            .Select(experiment => (experiment.Parameters, SecondsPerImage: experiment.SecondsPerStep / experiment.Parameters.BatchSize))
            .ToList();
        var same = Averages(parameters => (Network(parameters), parameters.Precision));
        var networks = Averages(Network);
        var usual = networks.Values.Average();
        var seconds = work.Sum(training => training.Steps * training.Parameters.BatchSize * Cost(training.Parameters));
        return Math.Round(seconds / Math.Clamp(slots, 1, Math.Max(1, work.Count)), 1);

        double Cost(ExperimentParameters parameters) =>
            same.GetValueOrDefault((Network(parameters), parameters.Precision), networks.GetValueOrDefault(Network(parameters), usual));

        Dictionary<T, double> Averages<T>(Func<ExperimentParameters, T> key) where T : notnull =>
            costs.GroupBy(cost => key(cost.Parameters), cost => cost.SecondsPerImage).ToDictionary(group => group.Key, group => group.Average());
    }

    private static (string Architecture, int Layers) Network(ExperimentParameters parameters) => (parameters.Architecture, parameters.Layers);
}
