using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Control;

/// <param name="Parameters">As they came; empty where none is to change.</param>
/// <param name="Notes">Empty to remove them.</param>
internal sealed record ExperimentUpdate(string? Name, string[]? Tags, string? Notes, int? Priority, DateTimeOffset? StartAt, IReadOnlyDictionary<string, JsonElement> Parameters);

/// <summary>Why an experiment was not updated.</summary>
internal abstract record UpdateRefusal
{
    public sealed record Gone : UpdateRefusal;

    public sealed record Invalid(string Field, string Reason) : UpdateRefusal;

    public sealed record Conflict(string Reason) : UpdateRefusal;
}

/// <summary>Changes one experiment, with its trajectory locked: a worker that trains it comes before or after, never in between.</summary>
internal sealed class ExperimentUpdates(ExperimentsDbContext db, TicketQueue queue)
{
    /// <returns>Null when it is done: what has to wait for a step boundary is noted.</returns>
    public Task<UpdateRefusal?> ApplyAsync(Guid id, ExperimentUpdate update, CancellationToken cancellationToken) =>
        db.TransactAsync(token => InTransactionAsync(id, update, token), cancellationToken);

    private async Task<UpdateRefusal?> InTransactionAsync(Guid id, ExperimentUpdate update, CancellationToken cancellationToken)
    {
        await TrajectorySchedule.LockAsync(db, [id], cancellationToken);
        var experiment = await db.Experiments.AsNoTracking().Include(candidate => candidate.Trajectory)
            .SingleOrDefaultAsync(candidate => candidate.Id == id, cancellationToken);
        if (experiment is null)
            return new UpdateRefusal.Gone();
        if (update.Parameters.Count > 0 && await AdjustAsync(experiment, update.Parameters, cancellationToken) is { } refusal)
            return refusal;
        await db.Experiments.Where(row => row.Id == id).ExecuteUpdateAsync(
            set =>
            {
                if (update.Name is not null)
                    set.SetProperty(row => row.Name, update.Name);
                if (update.Tags is not null)
                    set.SetProperty(row => row.Tags, update.Tags);
                if (update.Notes is not null)
                    set.SetProperty(row => row.Notes, update.Notes.Length == 0 ? null : update.Notes);
                if (update.Priority is { } priority)
                    set.SetProperty(row => row.Priority, priority);
                if (update.StartAt is { } startAt)
                    set.SetProperty(row => row.StartAt, startAt.ToUniversalTime());
                // Something has to be set.
                set.SetProperty(row => row.Number, row => row.Number);
            },
            cancellationToken);
        var trajectory = await db.Experiments.Where(row => row.Id == id).Select(row => row.TrajectoryId).SingleAsync(cancellationToken);
        await TrajectorySchedule.RefreshAsync(db, queue, [trajectory], cancellationToken);
        return null;
    }

    private async Task<UpdateRefusal?> AdjustAsync(
        Experiment experiment, IReadOnlyDictionary<string, JsonElement> values, CancellationToken cancellationToken)
    {
        if (experiment.Status == ExperimentStatus.Completed)
            return new UpdateRefusal.Conflict("The experiment is completed: generate another one, which goes on from its checkpoint when it has more steps.");
        var before = ExperimentRows.ReadParameters(experiment.Parameters);
        if (Read(before, values, out var after) is { } invalid)
            return invalid;
        if (after == before && experiment.Adjustment is null)
            return null;
        if (experiment.StartedAt is null)
            return Twin(await Adjustments.MoveAsync(db, queue, experiment, after, fromStep: 0, cancellationToken));

        if (values.Keys.FirstOrDefault(name => name is not ("learningRate" or ParameterDefinition.Steps)) is { } fixedNow)
            return new UpdateRefusal.Conflict(
                $"The experiment has begun: learningRate and steps may change still, {fixedNow} may not. Generate another experiment with it.");
        var step = Math.Min(experiment.StoppedAtStep ?? experiment.Trajectory!.Step, experiment.TotalSteps);
        // What waits already stays, unless it is replaced.
        var waiting = experiment.Adjustment?.Deserialize<Adjustment>(ContractJson.Options);
        var steps = values.ContainsKey(ParameterDefinition.Steps) ? after.Steps : waiting?.Steps ?? before.Steps;
        var rate = values.ContainsKey("learningRate") ? after.LearningRate : waiting?.LearningRate;
        if (steps <= step)
            return new UpdateRefusal.Invalid("parameters.steps", $"The experiment has done {step} steps already: steps is more than that.");
        if (rate is null || rate == before.LearningRateAt(step))
            return Twin(await Adjustments.MoveAsync(db, queue, experiment, before with { Steps = steps }, fromStep: step, cancellationToken));

        var adjustment = new Adjustment(rate, steps);
        // A trajectory that nobody trains stands at its last checkpoint; a worker makes one at the next step boundary.
        if (experiment.Trajectory!.Status != TrajectoryStatus.Running)
            return Twin(await Adjustments.ApplyAsync(db, queue, experiment, adjustment, int.MaxValue, cancellationToken));
        var json = JsonSerializer.SerializeToElement(adjustment, ContractJson.Options);
        await db.Experiments.Where(row => row.Id == experiment.Id)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.Adjustment, json), cancellationToken);
        return null;
    }

    private static UpdateRefusal.Conflict? Twin(int? number) =>
        number is null ? null : new UpdateRefusal.Conflict($"Experiment {number} of this model has these parameters already.");

    /// <summary>The parameters with some of them replaced, or what is wrong with those.</summary>
    private static UpdateRefusal.Invalid? Read(ExperimentParameters before, IReadOnlyDictionary<string, JsonElement> values, out ExperimentParameters after)
    {
        after = before;
        var members = JsonSerializer.SerializeToNode(before, ContractJson.Options)!.AsObject();
        foreach (var (name, value) in values)
        {
            if (name == ParameterDefinition.Epochs || !ParameterDefinition.All.TryGetValue(name, out var definition))
                return new UpdateRefusal.Invalid($"parameters.{name}", $"There is no parameter \"{name}\" to change; there are {string.Join(", ", Changeable)}.");
            if (definition.Read(value, out var error) is not { } replaced)
                return new UpdateRefusal.Invalid($"parameters.{name}", error!);
            members[name] = JsonSerializer.SerializeToNode(replaced, ContractJson.Options);
        }

        var read = members.Deserialize<ExperimentParameters>(ContractJson.Options)!;
        after = read.Normalized();
        var kept = JsonSerializer.SerializeToNode(after, ContractJson.Options)!.AsObject();
        return values.Keys.FirstOrDefault(name => !JsonNode.DeepEquals(kept[name], members[name])) is { } unused
            ? new UpdateRefusal.Invalid($"parameters.{unused}", DependentParameters.Advice(unused))
            : null;
    }

    private static IEnumerable<string> Changeable => ParameterDefinition.All.Keys.Where(name => name != ParameterDefinition.Epochs);
}
