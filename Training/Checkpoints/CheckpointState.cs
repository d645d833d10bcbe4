using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Checkpoints;

/// <summary>What a checkpoint holds beside the tensors: enough to go on as if nothing had happened.</summary>
internal sealed record CheckpointState
{
    public required TrajectoryParameters Parameters { get; init; }

    public required string DataSetHash { get; init; }

    /// <summary>Steps that are done.</summary>
    public required int Step { get; init; }

    /// <summary>Training time from step 0, without evaluation.</summary>
    public required double TrainSeconds { get; init; }

    /// <summary>The loss was not finite when it was last looked at: no steps are done any more.</summary>
    public required bool Diverged { get; init; }

    /// <summary>Whether this step's point of the curves is still to be measured.</summary>
    public required bool PointIsDue { get; init; }

    /// <summary>Sum over the images since the last point of their cross entropy.</summary>
    public required double LossSum { get; init; }

    /// <summary>How many of them were classified right.</summary>
    public required long RightSum { get; init; }

    /// <summary>How many there were.</summary>
    public required long ImageSum { get; init; }

    /// <summary>Cross entropy of the last step's batch.</summary>
    public required double LastLoss { get; init; }

    /// <summary>The best value of the points so far that patience watches; null before the first.</summary>
    public double? PatienceBest { get; init; }

    /// <summary>The points since then.</summary>
    public int PatienceWaited { get; init; }

    public required string Engine { get; init; }

    public required string EngineVersion { get; init; }

    /// <summary>As <see cref="Engine.Kernels"/> has it; null in checkpoints of before it was kept.</summary>
    public string? Kernels { get; init; }

    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }

    /// <summary>As <see cref="Processor.Name"/> has it.</summary>
    public required string Processor { get; init; }

    /// <summary>Steps between two points, which decide when patience runs out; null in checkpoints of before it was kept.</summary>
    public int? EvaluateEvery { get; init; }

    /// <summary>Whether all steps so far were done by this engine, version, kernels, device and processor, and by one that repeats its bits, with points as far apart.</summary>
    public required bool Reproducible { get; init; }
}
