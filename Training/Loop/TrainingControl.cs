namespace MlExperiments.Training.Loop;

/// <summary>What is still wanted of a running training; its host changes it when the training attends to it.</summary>
internal sealed class TrainingControl(Guid trajectoryId, IEnumerable<int> milestones)
{
    public Guid TrajectoryId { get; } = trajectoryId;

    /// <summary>The steps that are still to be measured at.</summary>
    public SortedSet<int> Milestones { get; } = [.. milestones];

    /// <summary>Write a checkpoint at the next step boundary and stop.</summary>
    public bool StopRequested { get; set; }

    /// <summary>Nobody listens any more: stop, and leave nothing.</summary>
    public bool Abandoned { get; set; }

    public bool MustStop => StopRequested || Abandoned;
}
