using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Queue;

namespace MlExperiments.Shared.Data;

/// <summary>
/// Places of limited studies. The tickets of a study's other trajectories found it full and are gone, so whoever gives a place back issues one;
/// where the study was not full, its tickets still wait for a slot.
/// </summary>
public static class StudyPlaces
{
    /// <summary>The studies that are full and of which one of these trajectories takes a place: asked before a change.</summary>
    public static Task<List<Guid>> FullAsync(ExperimentsDbContext db, Guid[] trajectoryIds, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<Guid>(
            $"""
            SELECT DISTINCT study_id AS "Value" FROM experiments JOIN trajectories ON trajectories.id = experiments.trajectory_id
            WHERE trajectories.id = ANY ({trajectoryIds}) AND trajectories.status = 'running'
              AND experiments.status IN ('queued', 'running') AND study_id IN (SELECT id FROM full_studies)
            """).ToListAsync(cancellationToken);

    /// <summary>Issues a ticket for each of them that has room now, and something to train.</summary>
    /// <param name="full">Those that were full before.</param>
    public static async Task TicketAsync(ExperimentsDbContext db, TicketQueue queue, List<Guid> full, CancellationToken cancellationToken)
    {
        if (full.Count == 0)
            return;
        var freed = await db.Database.SqlQuery<int>(
            $"""
            SELECT count(*)::int AS "Value" FROM unnest({full}) AS left_study (id)
            WHERE id NOT IN (SELECT id FROM full_studies)
              AND EXISTS (SELECT FROM experiments JOIN trajectories ON trajectories.id = experiments.trajectory_id
                          WHERE experiments.study_id = left_study.id AND experiments.status = 'queued' AND trajectories.status = 'waiting')
            """).SingleAsync(cancellationToken);
        queue.Enqueue(db, freed, cancellationToken);
    }
}
