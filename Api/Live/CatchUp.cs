using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Live;

/// <summary>What a stream tells first, before it goes on live.</summary>
/// <param name="IsTooMuch">There is more than is told one by one: the list has to be read instead.</param>
internal sealed record CatchUp(bool IsTooMuch, IReadOnlyList<Guid> Experiments, IReadOnlyList<LiveChange> Deletions)
{
    /// <summary>The most experiments that a stream that comes back is told of.</summary>
    public const int MaxMissed = 5000;

    private static readonly CatchUp TooMuch = new(true, [], []);

    // No clock is ahead of another by so much: such an id is from another database.
    private static readonly TimeSpan Foreign = TimeSpan.FromHours(1);

    private static readonly ExperimentStatus[] Final = [.. Enum.GetValues<ExperimentStatus>().Where(status => status.IsFinal())];

    /// <param name="position">Everything that had changed before is committed.</param>
    /// <param name="since">What the stream has been told already; null where nothing.</param>
    public static async Task<CatchUp> FindAsync(
        ExperimentsDbContext db, LiveScope scope, DateTimeOffset position, DateTimeOffset? since, CancellationToken cancellationToken)
    {
        if (scope.ExperimentId is { } experiment)
            return new CatchUp(false, [experiment], []);
        if (since is not null && (since < position - Deletion.KeptFor || since > position + Foreign))
            return TooMuch;

        // From a little before the connection on: whoever read the list a moment ago misses nothing in between.
        var changes = LiveRows.Changes(db, since ?? position).Where(change => scope.ModelId == null || change.ModelId == scope.ModelId);
        var most = since is null ? LiveListener.MaxPending : MaxMissed;
        var deletions = await changes.Where(change => change.IsDeletion).OrderBy(change => change.Id).Take(most + 1).ToListAsync(cancellationToken);
        var changed = await changes.Where(change => !change.IsDeletion).Select(change => change.Id).Distinct().Order().Take(most + 1).ToListAsync(cancellationToken);
        if (deletions.Count > most || changed.Count > most)
            return TooMuch;
        if (since is not null)
            return new CatchUp(false, changed, deletions);

        var open = await db.Experiments
            .Where(candidate => (scope.ModelId == null || candidate.ModelId == scope.ModelId) && !Final.Contains(candidate.Status))
            .OrderBy(candidate => candidate.Number).Select(candidate => candidate.Id).Take(most + 1)
            .ToListAsync(cancellationToken);
        return open.Count > most ? TooMuch : new CatchUp(false, [.. open.Union(changed)], deletions);
    }
}
