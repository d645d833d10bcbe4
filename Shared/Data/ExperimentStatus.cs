namespace MlExperiments.Shared.Data;

/// <summary>Where an experiment is in its life. <see cref="ExperimentStates"/> says which change is allowed.</summary>
public enum ExperimentStatus
{
    /// <summary>Generated, not asked to be trained yet.</summary>
    Draft,

    /// <summary>Waits for a worker.</summary>
    Queued,

    /// <summary>A worker trains its trajectory.</summary>
    Running,

    /// <summary>Measured; its accuracy stands.</summary>
    Completed,

    /// <summary>Taken off its trajectory by a person; may go on.</summary>
    Paused,

    /// <summary>Given up: by a person, by its study's limits, or since an adjustment made it the same as another.</summary>
    Cancelled,

    /// <summary>Could not be trained; the error says why.</summary>
    Failed,

    /// <summary>Given up by its study's strategy.</summary>
    Pruned,
}

/// <summary>The one table of allowed changes.</summary>
public static class ExperimentStates
{
    private static readonly Dictionary<ExperimentStatus, ExperimentStatus[]> Next = new()
    {
        [ExperimentStatus.Draft] = [ExperimentStatus.Queued, ExperimentStatus.Cancelled],
        [ExperimentStatus.Queued] =
            [ExperimentStatus.Running, ExperimentStatus.Paused, ExperimentStatus.Cancelled, ExperimentStatus.Pruned, ExperimentStatus.Failed],
        // Back to queued: its worker drained or was lost.
        [ExperimentStatus.Running] =
            [ExperimentStatus.Queued, ExperimentStatus.Completed, ExperimentStatus.Paused, ExperimentStatus.Cancelled, ExperimentStatus.Failed, ExperimentStatus.Pruned],
        [ExperimentStatus.Paused] = [ExperimentStatus.Queued, ExperimentStatus.Cancelled],
        [ExperimentStatus.Failed] = [ExperimentStatus.Queued],
        [ExperimentStatus.Cancelled] = [ExperimentStatus.Queued],
        [ExperimentStatus.Pruned] = [ExperimentStatus.Queued],
        [ExperimentStatus.Completed] = [],
    };

    public static bool CanBecome(this ExperimentStatus from, ExperimentStatus to) => Next[from].Contains(to);

    /// <summary>The states from which <paramref name="to"/> can be reached: what a guarded update names in its WHERE.</summary>
    public static ExperimentStatus[] Before(ExperimentStatus to) =>
        [.. Next.Where(entry => entry.Value.Contains(to)).Select(entry => entry.Key)];

    /// <summary>True where nothing happens any more unless a person asks for it.</summary>
    public static bool IsFinal(this ExperimentStatus status) =>
        status is ExperimentStatus.Completed or ExperimentStatus.Cancelled or ExperimentStatus.Failed or ExperimentStatus.Pruned;
}
