using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Studies;

/// <summary>How far a study is.</summary>
/// <param name="Share">Of the training steps, 0 to 1; steps that experiments share count once.</param>
/// <param name="SecondsLeft">At the speed of the trajectories that run now; null while none does.</param>
internal sealed record StudyProgress(double Share, double? SecondsLeft)
{
    public static async Task<StudyProgress> ReadAsync(ExperimentsDbContext db, Guid studyId, CancellationToken cancellationToken)
    {
        // Experiments on one trajectory share its steps: each trajectory counts up to its last milestone that is wanted.
        var work = await db.Database.SqlQuery<Work>(
            $"""
            SELECT COALESCE(sum(total), 0)::double precision AS total,
                   COALESCE(sum(CASE WHEN pending THEN LEAST(step, total) ELSE total END), 0)::double precision AS done,
                   COALESCE(sum(speed) FILTER (WHERE pending), 0)::double precision AS speed
            FROM (SELECT max(experiments.total_steps) AS total,
                         bool_or(experiments.status IN ('draft', 'queued', 'running', 'paused')) AS pending,
                         -- A milestone is written before the progress that has passed it.
                         GREATEST(
                             CASE WHEN bool_or(experiments.started_at IS NOT NULL) THEN trajectories.step ELSE 0 END,
                             max(experiments.total_steps) FILTER (WHERE experiments.status = 'completed')) AS step,
                         CASE WHEN trajectories.status = 'running' THEN trajectories.steps_per_second ELSE 0 END AS speed
                  FROM experiments JOIN trajectories ON trajectories.id = experiments.trajectory_id
                  WHERE experiments.study_id = {studyId}
                  GROUP BY trajectories.id) AS trajectories
            """).ToListAsync(cancellationToken);
        var (total, done, speed) = work[0];
        return new(total == 0 ? 1 : Math.Round(done / total, 4), speed > 0 ? Math.Round((total - done) / speed) : null);
    }

    private sealed record Work(double Total, double Done, double Speed);
}
