namespace MlExperiments.Training.Loop;

/// <summary>What is still wanted of a running training; its host changes it when the training attends to it.</summary>
internal sealed class TrainingControl(Guid trajectoryId, IEnumerable<int> milestones)
{
    public Guid TrajectoryId { get; } = trajectoryId;

    /// <summary>The steps that are still to be measured at.</summary>
    public SortedSet<int> Milestones { get; } = [.. milestones];

    /// <summary>Steps that are done.</summary>
    public int Step { get; set; }

    /// <summary>Write a checkpoint at the next step boundary and go on.</summary>
    public bool CheckpointRequested { get; set; }

    /// <summary>Write a checkpoint at the next step boundary and stop.</summary>
    public bool StopRequested { get; set; }

    /// <summary>Nobody listens any more: stop, and leave nothing.</summary>
    public bool Abandoned { get; set; }

    public bool MustStop => StopRequested || Abandoned;

    /// <summary>Replaces the milestones. One at the present step stays only if it was wanted before: it may be measured already.</summary>
    public void Want(IReadOnlyList<int> steps)
    {
        var keepsPresent = Milestones.Contains(Step) && steps.Contains(Step);
        Milestones.Clear();
        Milestones.UnionWith(steps.Where(step => step > Step));
        if (keepsPresent) Milestones.Add(Step);
    }
}
