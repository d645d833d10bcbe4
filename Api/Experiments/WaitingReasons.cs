using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Workers;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Why queued experiments wait, as phrases that go on "waits for ...": a few queries for any number of experiments.</summary>
internal sealed class WaitingReasons
{
    /// <summary>The farthest place in the line that is looked for.</summary>
    private const int MaxAhead = 1000;

    private Dictionary<string, Slots> _slots = [];
    private Dictionary<Guid, Place> _places = [];
    private Dictionary<Guid, int> _limits = [];

    private WaitingReasons()
    {
    }

    public static async Task<WaitingReasons> ReadAsync(ExperimentsDbContext db, IEnumerable<Experiment> queued, CancellationToken cancellationToken)
    {
        var reasons = new WaitingReasons();
        var experiments = queued.ToList();
        if (experiments.Count == 0)
            return reasons;
        var trajectories = experiments.Select(experiment => experiment.TrajectoryId).Distinct().ToArray();
        reasons._slots = await db.Database.SqlQuery<Slots>(
            $"""
            SELECT trainer, sum(slots)::int AS total, sum(slots - busy_slots)::int AS free
            FROM workers, unnest(trainers) AS trainer
            WHERE stopped_at IS NULL AND last_seen_at > now() - {AliveWorkers.Silence}
            GROUP BY trainer
            """).ToDictionaryAsync(slots => slots.Trainer, cancellationToken);
        // In the order of claims, without those that a limit holds back.
        reasons._places = await db.Database.SqlQuery<Place>(
            $"""
            WITH first AS MATERIALIZED (
                SELECT id, trainer, priority, waiting_since FROM trajectories
                WHERE status = 'waiting' AND (start_at IS NULL OR start_at <= now())
                  AND (NOT EXISTS (SELECT FROM full_studies)
                       OR EXISTS (SELECT FROM experiments
                                  WHERE experiments.trajectory_id = trajectories.id AND experiments.status = 'queued'
                                    AND (experiments.start_at IS NULL OR experiments.start_at <= now())
                                    AND experiments.study_id NOT IN (SELECT id FROM full_studies)))
                ORDER BY priority DESC, waiting_since, id LIMIT {MaxAhead + 1}),
            line AS (SELECT id, (row_number() OVER (PARTITION BY trainer ORDER BY priority DESC, waiting_since, id) - 1)::int AS ahead FROM first)
            SELECT trajectories.id, trainer, ahead,
                   NOT EXISTS (SELECT FROM experiments
                               WHERE experiments.trajectory_id = trajectories.id AND experiments.status = 'queued'
                                 AND (experiments.start_at IS NULL OR experiments.start_at <= now())
                                 AND experiments.study_id NOT IN (SELECT id FROM full_studies)) AS "IsLimited"
            FROM trajectories LEFT JOIN line USING (id)
            WHERE id = ANY ({trajectories}) AND status = 'waiting'
            """).ToDictionaryAsync(place => place.Id, cancellationToken);
        var limited = experiments.Where(experiment => reasons._places.TryGetValue(experiment.TrajectoryId, out var place) && place.IsLimited)
            .Select(experiment => experiment.StudyId).Distinct().ToArray();
        if (limited.Length > 0)
            reasons._limits = await db.Studies.Where(study => limited.Contains(study.Id) && study.RunningLimit != null)
                .ToDictionaryAsync(study => study.Id, study => study.RunningLimit!.Value, cancellationToken);
        return reasons;
    }

    public string Of(Experiment experiment, TrajectoryStatus trajectory, int trajectoryStep)
    {
        if (experiment.StartAt is { } startAt && startAt > TimeProvider.System.GetUtcNow())
            return $"its start at {startAt:u}";
        if (trajectory == TrajectoryStatus.Running)
            return $"its trajectory, which is at step {trajectoryStep} for another experiment";
        if (_slots.Count == 0)
            return $"a worker: none was seen within the last {AliveWorkers.SilenceInWords}";
        // Not in the line any more: it was claimed between two looks.
        if (!_places.TryGetValue(experiment.TrajectoryId, out var place))
            return AboutToBeTaken;
        if (!_slots.TryGetValue(place.Trainer, out var slots))
            return $"a worker with the trainer {place.Trainer}: those seen within the last {AliveWorkers.SilenceInWords} have {string.Join(", ", _slots.Keys.Order())}";
        if (place.IsLimited)
            return _limits.TryGetValue(experiment.StudyId, out var limit)
                ? $"its study's limit: {(limit == 1 ? "one of its trajectories trains" : $"{limit} of its trajectories train")}, and no more may"
                : AboutToBeTaken;
        if (place.Ahead < slots.Free)
            return AboutToBeTaken;
        var busy = slots.Free > 0 ? null : slots.Total == 1 ? "the only one is busy" : $"all {slots.Total} are busy";
        var others = place.Ahead switch
        {
            null => $"more than {MaxAhead:N0} other trajectories come first",
            0 => null,
            1 => "another trajectory comes first",
            _ => $"{place.Ahead:N0} other trajectories come first",
        };
        return $"a free slot: {string.Join(", and ", new[] { busy, others }.OfType<string>())}";
    }

    private const string AboutToBeTaken = "a free slot, which is about to take it";

    private sealed record Slots(string Trainer, int Total, int Free);

    /// <param name="Ahead">How many come first; null beyond <see cref="MaxAhead"/>, and where a limit holds it back.</param>
    /// <param name="IsLimited">Every study that asks for it trains as many as it may.</param>
    private sealed record Place(Guid Id, string Trainer, int? Ahead, bool IsLimited);
}
