using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Shared.Data;

/// <summary>What is wanted of an experiment, by a person or by its study's limits. <see cref="ExperimentStates"/> allows each of these changes.</summary>
public sealed record ControlAction(string Verb, ExperimentStatus To, params ExperimentStatus[] From)
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
public sealed class ExperimentControl(ExperimentsDbContext db, TicketQueue queue)
{
    /// <summary>The most of one transaction: workers that report on one of their trajectories wait for it.</summary>
    private const int MaxExperiments = 500;

    /// <param name="selection">Of any size; only those in a status of <see cref="ControlAction.From"/> change.</param>
    /// <param name="reason">Their error from then on.</param>
    /// <returns>How many changed.</returns>
    public async Task<int> ApplyAsync(
        ControlAction action, IQueryable<Experiment> selection, CancellationToken cancellationToken, string? reason = null)
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
            changed += await db.TransactAsync(token => ChangeAsync(action, ids, reason, token), cancellationToken);
            after = ids[^1];
        }
    }

    private async Task<int> ChangeAsync(ControlAction action, Guid[] ids, string? reason, CancellationToken cancellationToken)
    {
        var trajectories = await TrajectorySchedule.LockAsync(db, ids, cancellationToken);
        var full = await StudyPlaces.FullAsync(db, trajectories, cancellationToken);
        var to = Word(action.To);
        var changed = await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE experiments
            SET status = {to},
                queued_at = CASE WHEN {to} = 'queued' THEN now() ELSE queued_at END,
                finished_at = CASE WHEN {to} = 'cancelled' THEN now() END,
                stopped_at_step = CASE WHEN {to} <> 'queued' AND started_at IS NOT NULL THEN LEAST(trajectories.step, total_steps) END,
                error = {reason}
            FROM trajectories
            WHERE trajectories.id = experiments.trajectory_id AND experiments.id = ANY ({ids}) AND experiments.status = ANY ({action.From.Select(Word).ToArray()})
              AND experiments.trajectory_id = ANY ({trajectories})
            """,
            cancellationToken);
        if (action.To == ExperimentStatus.Queued)
            await TrajectorySchedule.WakeAsync(db, queue, trajectories, cancellationToken);
        else
            await TrajectorySchedule.RefreshAsync(db, queue, trajectories, cancellationToken);
        await StudyPlaces.TicketAsync(db, queue, full, cancellationToken);
        return changed;
    }

    private static string Word(ExperimentStatus status) => status.ToString().ToLowerInvariant();
}
