using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Api.Control;

/// <summary>What a person wants of an experiment. <see cref="ExperimentStates"/> allows each of these changes.</summary>
internal sealed record ControlAction(string Verb, ExperimentStatus To, params ExperimentStatus[] From)
{
    public static readonly ControlAction Pause = new("pause", ExperimentStatus.Paused, ExperimentStatus.Queued, ExperimentStatus.Running);

    public static readonly ControlAction Resume = new("resume", ExperimentStatus.Queued, ExperimentStatus.Paused);

    public static readonly ControlAction Cancel = new(
        "cancel", ExperimentStatus.Cancelled, ExperimentStatus.Draft, ExperimentStatus.Queued, ExperimentStatus.Running, ExperimentStatus.Paused);

    public static readonly ControlAction Retry = new(
        "retry", ExperimentStatus.Queued, ExperimentStatus.Failed, ExperimentStatus.Cancelled, ExperimentStatus.Pruned);

    public static IReadOnlyList<ControlAction> All { get; } = [Pause, Resume, Cancel, Retry];

    /// <summary>Whether an experiment in this status is where the action leads: asking again is no mistake.</summary>
    public bool IsDone(ExperimentStatus status) => status == To || (To == ExperimentStatus.Queued && status == ExperimentStatus.Running);
}

/// <summary>
/// Pauses, resumes, cancels and retries experiments, in transactions of at most <see cref="MaxExperiments"/>. Each locks the trajectories first, as
/// the workers that train them do: an experiment that completes at the same moment is either completed or what was asked for.
/// </summary>
internal sealed class ExperimentControl(ExperimentsDbContext db, IJobQueue queue)
{
    /// <summary>The most of one transaction: workers that report on one of their trajectories wait for it.</summary>
    private const int MaxExperiments = 500;

    /// <param name="selection">Of any size; only those in a status of <see cref="ControlAction.From"/> change.</param>
    /// <returns>How many changed.</returns>
    public async Task<int> ApplyAsync(ControlAction action, IQueryable<Experiment> selection, CancellationToken cancellationToken)
    {
        var changed = 0;
        var after = Guid.Empty;
        while (true)
        {
            // By id, which no change moves: each comes once, whatever it has become.
            var ids = await selection.Where(experiment => experiment.Id > after && action.From.Contains(experiment.Status))
                .OrderBy(experiment => experiment.Id).Take(MaxExperiments).Select(experiment => experiment.Id)
                .ToArrayAsync(cancellationToken);
            if (ids.Length == 0)
                return changed;
            changed += await db.TransactAsync(token => ChangeAsync(action, ids, token), cancellationToken);
            after = ids[^1];
        }
    }

    private async Task<int> ChangeAsync(ControlAction action, Guid[] ids, CancellationToken cancellationToken)
    {
        var trajectories = await LockAsync(ids, cancellationToken);
        var full = await StudyPlaces.FullAsync(db, trajectories, cancellationToken);
        await using var changing = TrajectoryQueue.Command(
            db,
            """
            UPDATE experiments
            SET status = $2,
                queued_at = CASE WHEN $2 = 'queued' THEN now() ELSE queued_at END,
                finished_at = CASE WHEN $2 = 'cancelled' THEN now() END,
                stopped_at_step = CASE WHEN $2 <> 'queued' AND started_at IS NOT NULL THEN LEAST(trajectories.step, total_steps) END,
                error = NULL
            FROM trajectories
            WHERE trajectories.id = experiments.trajectory_id AND experiments.id = ANY($1) AND experiments.status = ANY($3)
              AND experiments.trajectory_id = ANY($4)
            """,
            ids,
            Word(action.To),
            action.From.Select(Word).ToArray(),
            trajectories);
        var changed = await changing.ExecuteNonQueryAsync(cancellationToken);
        if (action.To == ExperimentStatus.Queued)
            await TrajectoryQueue.WakeAsync(db, queue, trajectories, cancellationToken);
        else
            await TrajectorySchedule.RefreshAsync(db, queue, trajectories, cancellationToken);
        await StudyPlaces.TicketAsync(db, queue, full, cancellationToken);
        return changed;
    }

    /// <summary>In the order in which all lock several, so that no two wait for each other.</summary>
    private async Task<Guid[]> LockAsync(Guid[] experiments, CancellationToken cancellationToken)
    {
        await using var locking = TrajectoryQueue.Command(
            db,
            "SELECT id FROM trajectories WHERE id IN (SELECT trajectory_id FROM experiments WHERE id = ANY($1)) ORDER BY fingerprint FOR UPDATE",
            experiments);
        await using var reader = await locking.ExecuteReaderAsync(cancellationToken);
        var ids = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetGuid(0));
        return [.. ids];
    }

    private static string Word(ExperimentStatus status) => status.ToString().ToLowerInvariant();
}
