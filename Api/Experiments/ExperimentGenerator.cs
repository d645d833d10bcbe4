using System.Text.Json;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using static MlExperiments.Api.Experiments.TrajectoryQueue;

namespace MlExperiments.Api.Experiments;

/// <summary>What to make of a space, and on which images.</summary>
/// <param name="Parameters">All different.</param>
/// <param name="Definition">The request as it was understood.</param>
/// <param name="Request">For what holds for all of the experiments.</param>
internal sealed record GenerationPlan(
    Model Model,
    DataSetVersion Version,
    string StudyName,
    JsonElement Definition,
    GenerateRequest Request,
    IReadOnlyList<ExperimentParameters> Parameters,
    IReadOnlyList<string> Names);

/// <param name="StudyId">Null where nothing is new.</param>
/// <param name="Created">Ids of the new experiments.</param>
/// <param name="Existing">Ids of those that were there.</param>
internal sealed record Generated(Guid? StudyId, IReadOnlyList<Guid> Created, IReadOnlyList<Guid> Existing, int Trajectories);

/// <summary>
/// Makes experiments and puts them up for training, all in one transaction. The model's row is locked first, so that requests on
/// one model come one after another; the unique fingerprints decide over what that does not cover.
/// </summary>
internal sealed class ExperimentGenerator(ExperimentsDbContext db, TicketQueue queue, TimeProvider time)
{
    /// <returns>Null where the model was deleted meanwhile.</returns>
    public Task<Generated?> GenerateAsync(GenerationPlan plan, CancellationToken cancellationToken) =>
        db.TransactAsync(token => InTransactionAsync(plan, token), cancellationToken);

    private async Task<Generated?> InTransactionAsync(GenerationPlan plan, CancellationToken cancellationToken)
    {
        // Not FOR UPDATE: uploads and predictions, which refer to the row, need not wait.
        await using (var locking = Command(db, "SELECT 1 FROM models WHERE id = $1 FOR NO KEY UPDATE", plan.Model.Id))
        {
            if (await locking.ExecuteScalarAsync(cancellationToken) is null)
                return null;
        }

        var milestones = await PlaceAsync(plan, cancellationToken);
        var trajectories = await LockTrajectoriesAsync(plan, milestones, cancellationToken);
        var existing = await FindExistingAsync(milestones, cancellationToken);
        var missing = milestones.FindAll(milestone => !existing.ContainsKey(milestone.Fingerprint));
        Guid? studyId = null;
        if (missing.Count > 0)
        {
            studyId = await InsertStudyAsync(plan, cancellationToken);
            await InsertExperimentsAsync(plan, studyId.Value, missing, trajectories, cancellationToken);
        }

        if (plan.Request.Start)
        {
            var woken = milestones.FindAll(milestone => !existing.TryGetValue(milestone.Fingerprint, out var there) || there.IsDraft);
            await using (var queueing = Command(
                db,
                "UPDATE experiments SET status = 'queued', queued_at = now() WHERE id = ANY($1) AND status = 'draft'",
                existing.Values.Where(there => there.IsDraft).Select(there => there.Id).ToArray()))
                await queueing.ExecuteNonQueryAsync(cancellationToken);
            await TrajectorySchedule.WakeAsync(db, queue, [.. woken.Select(milestone => trajectories[milestone.TrajectoryFingerprint]).Distinct()], cancellationToken);
        }

        return new Generated(
            studyId,
            [.. missing.Select(milestone => milestone.Id)],
            [.. milestones.Where(milestone => existing.ContainsKey(milestone.Fingerprint)).Select(milestone => existing[milestone.Fingerprint].Id)],
            trajectories.Count);
    }

    /// <summary>
    /// The milestones that are asked for; where they are to be trained again, on the first replicate of their trajectory that has none of them yet.
    /// </summary>
    private async Task<List<Milestone>> PlaceAsync(GenerationPlan plan, CancellationToken cancellationToken)
    {
        var ids = new OrderedIds(time);
        var milestones = plan.Parameters.Select((parameters, index) => new Milestone(ids.Next(), plan, parameters, plan.Names[index])).ToList();
        for (var replicate = 1; plan.Request.Force; replicate++)
        {
            var existing = await FindExistingAsync(milestones, cancellationToken);
            if (existing.Count == 0)
                break;
            var taken = milestones.Where(milestone => existing.ContainsKey(milestone.Fingerprint)).Select(milestone => milestone.TrajectoryFingerprint).ToHashSet();
            milestones = milestones.ConvertAll(milestone => taken.Contains(milestone.TrajectoryFingerprint) ? milestone.Again(replicate) : milestone);
        }

        return milestones;
    }

    /// <summary>Makes the trajectories that are missing and locks all of them; their ids by fingerprint.</summary>
    private async Task<Dictionary<string, Guid>> LockTrajectoriesAsync(
        GenerationPlan plan, IReadOnlyList<Milestone> milestones, CancellationToken cancellationToken)
    {
        var wanted = milestones.DistinctBy(milestone => milestone.TrajectoryFingerprint)
            .OrderBy(milestone => milestone.TrajectoryFingerprint, StringComparer.Ordinal).ToList();
        var fingerprints = wanted.Select(milestone => milestone.TrajectoryFingerprint).ToArray();
        await using (var inserting = Command(
            db,
            """
            INSERT INTO trajectories (id, model_id, data_set_version_id, trainer, parameters, fingerprint,
                                      status, priority, fence, step, epoch, steps_per_second, lost_attempts, created_at)
            SELECT id, $1, $2, $3, parameters::jsonb, fingerprint, 'idle', 0, 0, 0, 0, 0, 0, now()
            FROM unnest($4, $5, $6) AS wanted (id, parameters, fingerprint)
            ON CONFLICT (fingerprint) DO NOTHING
            """,
            plan.Model.Id,
            plan.Version.Id,
            plan.Model.Trainer,
            wanted.Select(_ => Guid.CreateVersion7()).ToArray(),
            wanted.Select(milestone => milestone.TrajectoryJson).ToArray(),
            fingerprints))
            await inserting.ExecuteNonQueryAsync(cancellationToken);

        var ids = new Dictionary<string, Guid>();
        await using var locking = Command(
            db, "SELECT id, fingerprint FROM trajectories WHERE fingerprint = ANY($1) ORDER BY fingerprint FOR UPDATE", fingerprints);
        await using var reader = await locking.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetString(1), reader.GetGuid(0));
        return ids;
    }

    private async Task<Dictionary<string, (Guid Id, bool IsDraft)>> FindExistingAsync(
        IReadOnlyList<Milestone> milestones, CancellationToken cancellationToken)
    {
        var existing = new Dictionary<string, (Guid, bool)>();
        await using var finding = Command(
            db,
            "SELECT fingerprint, id, status = 'draft' FROM experiments WHERE fingerprint = ANY($1)",
            milestones.Select(milestone => milestone.Fingerprint).ToArray());
        await using var reader = await finding.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            existing.Add(reader.GetString(0), (reader.GetGuid(1), reader.GetBoolean(2)));
        return existing;
    }

    private async Task<Guid> InsertStudyAsync(GenerationPlan plan, CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7();
        await using var inserting = Command(
            db,
            """
            INSERT INTO studies (id, model_id, data_set_version_id, name, definition, running_limit, seconds_limit, failures_limit, created_at)
            VALUES ($1, $2, $3, $4, $5::json, $6::integer, $7::integer, $8::integer, now())
            """,
            id,
            plan.Model.Id,
            plan.Version.Id,
            plan.StudyName,
            plan.Definition.GetRawText(),
            OrNull(plan.Request.Limits?.Running),
            OrNull(plan.Request.Limits?.Seconds),
            OrNull(plan.Request.Limits?.Failures));
        await inserting.ExecuteNonQueryAsync(cancellationToken);
        return id;
    }

    private async Task InsertExperimentsAsync(
        GenerationPlan plan,
        Guid studyId,
        IReadOnlyList<Milestone> missing,
        Dictionary<string, Guid> trajectories,
        CancellationToken cancellationToken)
    {
        int first;
        await using (var numbering = Command(
            db,
            "UPDATE models SET next_experiment_number = next_experiment_number + $2 WHERE id = $1 RETURNING next_experiment_number - $2",
            plan.Model.Id,
            missing.Count))
            first = (int)(await numbering.ExecuteScalarAsync(cancellationToken))!;

        await using var inserting = Command(
            db,
            """
            INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps,
                                     priority, start_at, diverged, reproducible, created_at, queued_at)
            SELECT id, $1, $2, trajectory_id, $3 + place - 1, name, $4, parameters::jsonb, fingerprint, total_steps,
                   $5, $6::timestamptz, false, true, now(), CASE WHEN $4 = 'queued' THEN now() END
            FROM unnest($7, $8, $9, $10, $11, $12) WITH ORDINALITY AS missing (id, trajectory_id, name, parameters, fingerprint, total_steps, place)
            """,
            plan.Model.Id,
            studyId,
            first,
            plan.Request.Start ? "queued" : "draft",
            plan.Request.Priority,
            OrNull(plan.Request.StartAt?.ToUniversalTime()),
            missing.Select(milestone => milestone.Id).ToArray(),
            missing.Select(milestone => trajectories[milestone.TrajectoryFingerprint]).ToArray(),
            missing.Select(milestone => milestone.Name).ToArray(),
            missing.Select(milestone => milestone.Json).ToArray(),
            missing.Select(milestone => milestone.Fingerprint).ToArray(),
            missing.Select(milestone => milestone.Steps).ToArray());
        await inserting.ExecuteNonQueryAsync(cancellationToken);
    }

    private static object OrNull<T>(T? value) where T : struct => value is { } given ? given : DBNull.Value;

    /// <summary>An experiment to be, with an id of its own in case that it is new.</summary>
    private sealed class Milestone(Guid id, GenerationPlan plan, ExperimentParameters parameters, string name)
    {
        public Guid Id { get; } = id;
        public string Name { get; } = parameters.Replicate == 0 ? name : $"{name[..Math.Min(name.Length, Experiment.MaxNameLength - 20)]}, replicate {parameters.Replicate}";
        public int Steps { get; } = parameters.Steps;
        public string Json { get; } = JsonSerializer.Serialize(parameters, ContractJson.Options);
        public string TrajectoryJson { get; } = JsonSerializer.Serialize(parameters.WithoutSteps(), ContractJson.Options);
        public string Fingerprint { get; } = MlExperiments.Shared.Search.Fingerprint.OfExperiment(plan.Model.Id, plan.Version.Hash, parameters);
        public string TrajectoryFingerprint { get; } = MlExperiments.Shared.Search.Fingerprint.OfTrajectory(plan.Model.Id, plan.Version.Hash, parameters.WithoutSteps());

        public Milestone Again(int replicate) => new(Id, plan, parameters with { Replicate = replicate }, name);
    }
}
