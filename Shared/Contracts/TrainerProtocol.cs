using System.Text.Json.Serialization;

namespace MlExperiments.Shared.Contracts;

// The line protocol between a worker's slot and its trainer, a child process: one JSON object a line, commands on
// standard input, events on standard output, free text for the log on standard error. A trainer that reads the end of
// its input stops; SIGINT and SIGTERM, which a terminal and a service manager send to all of a group, it survives. A
// reader reports a line that is no object of a known type, and goes on with the next. Paths are local files; the trainer
// only creates files below the command's OutputDirectory.

/// <summary>What a slot tells its trainer.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(TrainCommand), "train")]
[JsonDerivedType(typeof(StopCommand), "stop")]
[JsonDerivedType(typeof(MilestonesCommand), "milestones")]
[JsonDerivedType(typeof(CheckpointCommand), "checkpoint")]
[JsonDerivedType(typeof(PredictCommand), "predict")]
public abstract record TrainerCommand;

/// <summary>
/// Train one trajectory to its last milestone. One at a time: a second one while training is answered with
/// <see cref="FailedEvent"/>. Answered by <see cref="StartedEvent"/>, then progress, then exactly one of
/// <see cref="DoneEvent"/>, <see cref="StoppedEvent"/> or <see cref="FailedEvent"/>.
/// </summary>
/// <param name="TrajectoryId">Repeated in every event about this training.</param>
/// <param name="DataSet">Path of the packed data set (a packed data set: uint8 [n, h, w, c] and labels).</param>
/// <param name="Milestones">The steps to measure at, ascending, none below the checkpoint's step.</param>
/// <param name="Checkpoint">Path of the checkpoint to go on from; null starts at step 0.</param>
/// <param name="OutputDirectory">Where weights and checkpoints are written; exists.</param>
/// <param name="EvaluateEvery">Steps between two measurements on the fixed validation subset.</param>
/// <param name="CheckpointEverySeconds">Training time between two checkpoints; 0 writes none but at milestones and stops.</param>
public sealed record TrainCommand(
    Guid TrajectoryId,
    TrajectoryParameters Parameters,
    string DataSet,
    IReadOnlyList<int> Milestones,
    string? Checkpoint,
    string OutputDirectory,
    int EvaluateEvery = 100,
    double CheckpointEverySeconds = 30) : TrainerCommand;

/// <summary>Write a checkpoint at the next step boundary and stop.</summary>
public sealed record StopCommand(Guid TrajectoryId) : TrainerCommand;

/// <summary>
/// Measure at these steps and no others from now on; training ends at the last of them. Without one that is still to come it writes a
/// checkpoint at the next step boundary and stops. Those that are passed already are left out.
/// </summary>
public sealed record MilestonesCommand(Guid TrajectoryId, IReadOnlyList<int> Steps) : TrainerCommand;

/// <summary>Write a checkpoint at the next step boundary and go on.</summary>
public sealed record CheckpointCommand(Guid TrajectoryId) : TrainerCommand;

/// <summary>
/// Classify images with stored weights, between two steps where a training runs. Answered by <see cref="PredictionEvent"/>.
/// </summary>
/// <param name="Weights">Path of a weights file (safetensors); the last few stay loaded, by path.</param>
/// <param name="Pixels">One image each, uint8 <c>[h, w, c]</c> as base64, of the weights' input shape.</param>
public sealed record PredictCommand(Guid Id, string Weights, IReadOnlyList<byte[]> Pixels) : TrainerCommand;

/// <summary>What a trainer tells its slot.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ReadyEvent), "ready")]
[JsonDerivedType(typeof(StartedEvent), "started")]
[JsonDerivedType(typeof(ProgressEvent), "progress")]
[JsonDerivedType(typeof(MetricsEvent), "metrics")]
[JsonDerivedType(typeof(MilestoneEvent), "milestone")]
[JsonDerivedType(typeof(CheckpointEvent), "checkpoint")]
[JsonDerivedType(typeof(DoneEvent), "done")]
[JsonDerivedType(typeof(StoppedEvent), "stopped")]
[JsonDerivedType(typeof(FailedEvent), "failed")]
[JsonDerivedType(typeof(PredictionEvent), "prediction")]
public abstract record TrainerEvent;

/// <summary>An event about the running training.</summary>
public abstract record TrainingEvent(Guid TrajectoryId) : TrainerEvent;

/// <summary>The first line: the trainer is warm and waits for commands.</summary>
/// <param name="Engine">The tensor library: <c>TorchSharp</c>.</param>
/// <param name="EngineVersion">For example <c>0.107.0 on libtorch 2.10.0</c>.</param>
/// <param name="Device"><c>cpu</c> or <c>cuda</c>.</param>
public sealed record ReadyEvent(string Engine, string EngineVersion, string Device) : TrainerEvent;

/// <summary>Data and checkpoint are loaded; the first step comes next.</summary>
/// <param name="Step">The step that training goes on from; 0 at the start.</param>
/// <param name="Reproducible">False once the checkpoint, or one it goes back to, was made by another engine, version, device or kind of CPU.</param>
public sealed record StartedEvent(Guid TrajectoryId, int Step, bool Reproducible) : TrainingEvent(TrajectoryId);

/// <summary>
/// About once a second, while steps are done and between the batches of a measurement: a trainer that is silent for long hangs.
/// </summary>
/// <param name="Step">Steps that are done; it stands still during a measurement.</param>
/// <param name="Loss">Cross entropy of the last step's batch, in nats.</param>
/// <param name="StepsPerSecond">Of the last steps that were done, in training time; 0 before the first.</param>
/// <param name="TrainSeconds">Training time from step 0, over all attempts.</param>
public sealed record ProgressEvent(Guid TrajectoryId, int Step, double Epoch, double Loss, double StepsPerSecond, double TrainSeconds)
    : TrainingEvent(TrajectoryId);

/// <summary>Points of the curves.</summary>
/// <param name="Values">By metric name: <c>loss</c>, <c>accuracy</c> (both of the training batches since the last point),
/// <c>validationLoss</c>, <c>validationAccuracy</c> (on the fixed subset).</param>
public sealed record MetricsEvent(Guid TrajectoryId, int Step, IReadOnlyDictionary<string, double> Values) : TrainingEvent(TrajectoryId);

/// <summary>The measurement at one milestone, over the whole validation split.</summary>
/// <param name="Accuracy">Share of the validation images that are classified right, 0 to 1.</param>
/// <param name="Loss">Mean cross entropy on the validation split, in nats; may be NaN when diverged.</param>
/// <param name="MeanSquaredError">Mean over images and classes of (probability - one-hot)^2.</param>
/// <param name="TestAccuracy">The same as Accuracy on the test split; null where there is none.</param>
/// <param name="Diverged">The loss is not finite. A training that is found diverged ends early: all milestones that are left are reported
/// at once, as measured then. The same holds for one whose patience runs out.</param>
/// <param name="Weights">Path of the weights at this step (safetensors).</param>
/// <param name="WeightsHash">SHA-256 over the weights' bytes (not the file's), lower-case hex.</param>
/// <param name="TrainSeconds">Training time from step 0 to this step, without evaluation.</param>
/// <param name="Classes">The measurement by class; null from a trainer that makes none, and where there are more than <see cref="ClassMeasurement.MaxClasses"/>.</param>
/// <param name="TestClasses">The same on the test split.</param>
/// <param name="StoppedEarly">The patience ran out before this step.</param>
/// <param name="EndedAtStep">The last step that was trained, where that is before this one; else null.</param>
public sealed record MilestoneEvent(
    Guid TrajectoryId,
    int Step,
    double Accuracy,
    double Loss,
    double MeanSquaredError,
    double? TestAccuracy,
    bool Diverged,
    string Weights,
    string WeightsHash,
    double TrainSeconds,
    bool Reproducible,
    ClassMeasurement? Classes = null,
    ClassMeasurement? TestClasses = null,
    bool StoppedEarly = false,
    int? EndedAtStep = null) : TrainingEvent(TrajectoryId);

/// <summary>A checkpoint file is complete, flushed and renamed.</summary>
public sealed record CheckpointEvent(Guid TrajectoryId, int Step, string Path, double TrainSeconds) : TrainingEvent(TrajectoryId);

/// <summary>The last milestone is measured; a checkpoint came before.</summary>
/// <param name="Step">The last step that was trained: the last milestone, or an earlier one where the training diverged or its patience ran out.</param>
public sealed record DoneEvent(Guid TrajectoryId, int Step) : TrainingEvent(TrajectoryId);

/// <summary>Training stopped on request, or because no milestone was left; its checkpoint came before.</summary>
public sealed record StoppedEvent(Guid TrajectoryId, int Step) : TrainingEvent(TrajectoryId);

/// <summary>Training, or a command about it, failed; the trainer is ready for another.</summary>
public sealed record FailedEvent(Guid TrajectoryId, string Error) : TrainingEvent(TrajectoryId);

/// <summary>The answer to a <see cref="PredictCommand"/>.</summary>
/// <param name="Probabilities">Per image, per class in the weights' class order, each 0 to 1; null when failed.</param>
/// <param name="Error">Why there are none.</param>
public sealed record PredictionEvent(Guid Id, IReadOnlyList<double[]>? Probabilities, string? Error = null) : TrainerEvent;
