using System.Diagnostics;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Checkpoints;
using MlExperiments.Training.Data;
using MlExperiments.Training.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Loop;

/// <summary>
/// One training of one trajectory, from step 0 or a checkpoint to its last milestone. Its results depend on the parameters, the
/// data set, the step and how often points are measured; not on the milestones, the clock, or where it was interrupted.
/// </summary>
internal sealed class TrainingRun : IDisposable
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(1);

    private readonly TrainCommand command;
    private readonly TrajectoryParameters parameters;
    private readonly ITrainingHost host;
    private readonly TrainingControl control;
    private readonly PackedDataSet data;
    private readonly Batches batches;
    private readonly Cnn network;
    private readonly IOptimizer optimizer;
    private readonly RunningSums sums;
    private readonly int[] pointRows;

    private int step;
    private double trainSeconds;
    private bool reproducible = Engine.IsDeterministic;
    private bool diverged;
    private bool pointIsDue;
    private double checkpointSeconds;
    private long progressTime = Stopwatch.GetTimestamp();
    private int progressStep;
    private double progressSeconds;

    /// <summary>Loads the data set and the checkpoint.</summary>
    /// <exception cref="InvalidDataException">The command can't be carried out; the message says why.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public TrainingRun(TrainCommand command, ITrainingHost host)
    {
        TrainCommandCheck.ThrowIfInvalid(command);
        this.command = command;
        this.host = host;
        parameters = command.Parameters;
        control = new(command.TrajectoryId, command.Milestones);
        data = PackedDataSet.Open(command.DataSet);
        if (data.Train.Count == 0 || data.Validation.Count == 0)
            throw new InvalidDataException($"{command.DataSet}: There are {data.Train.Count} training and {data.Validation.Count} validation images; both are needed.");

        batches = new(data, parameters);
        pointRows = Evaluation.Subset(data);
        network = new(parameters, data.Shape, data.Classes.Count);
        optimizer = Optimizers.Create(parameters, network.Flat.NumberOfElements);
        sums = command.Checkpoint is { } path ? Resume(path) : new();
        checkpointSeconds = progressSeconds = trainSeconds;
        progressStep = step;
    }

    private IReadOnlyList<(string Name, Tensor Values)> Tensors => [("parameters", network.Flat), .. optimizer.State];

    /// <summary>Trains until the milestones are measured or the host wants it to stop.</summary>
    public void Train()
    {
        Report(new StartedEvent(command.TrajectoryId, step, reproducible));
        while (true)
        {
            host.Attend(control);
            if (control.Abandoned) return;
            if (control.StopRequested || control.Milestones.Count == 0)
            {
                WriteCheckpoint();
                Report(new StoppedEvent(command.TrajectoryId, step));
                return;
            }

            if (pointIsDue && !MeasurePoint()) continue;

            if ((diverged || control.Milestones.Min == step) && !MeasureMilestones()) continue;
            if (control.Milestones.Count == 0)
            {
                WriteCheckpoint();
                Report(new DoneEvent(command.TrajectoryId, step));
                return;
            }

            var checkpointIsDue = command.CheckpointEverySeconds > 0 && trainSeconds - checkpointSeconds >= command.CheckpointEverySeconds;
            if (checkpointIsDue) WriteCheckpoint();

            Step();
            if (Stopwatch.GetElapsedTime(progressTime) >= ProgressInterval) ReportProgress();
        }
    }

    public void Dispose()
    {
        sums.Dispose();
        optimizer.Dispose();
        network.Dispose();
        data.Dispose();
    }

    private void Step()
    {
        var started = Stopwatch.GetTimestamp();
        using (NewDisposeScope())
        {
            var rows = batches.Rows(step);
            var (images, labels) = Batches.Load(data, rows);
            var logits = network.Forward(images, Seeds.For(parameters.Seed, Purpose.Dropout, step));
            var loss = functional.cross_entropy(logits, labels);
            var gradient = autograd.grad([loss], [network.Flat])[0];
            using (no_grad())
            {
                optimizer.Apply(network.Flat, gradient, step + 1);
                sums.Add(loss, logits, labels, rows.Length);
            }
        }

        step++;
        pointIsDue = step % command.EvaluateEvery == 0;
        trainSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    // Only here is a training found to have diverged, so that it ends at the same step whatever its milestones are.
    private bool MeasurePoint()
    {
        if (Measure(pointRows) is not { } validation) return false;
        var loss = sums.Loss / sums.Images;
        diverged |= !double.IsFinite(loss) || !double.IsFinite(validation.Loss);
        Report(new MetricsEvent(command.TrajectoryId, step, new Dictionary<string, double>
        {
            ["loss"] = loss,
            ["accuracy"] = (double)sums.Right / sums.Images,
            ["validationLoss"] = validation.Loss,
            ["validationAccuracy"] = validation.Accuracy,
        }));
        sums.Reset();
        pointIsDue = false;
        return true;
    }

    // The one at this step, or all that are left when no further step would change anything.
    private bool MeasureMilestones()
    {
        if (Measure(Evaluation.Rows(data.Validation)) is not { } validation) return false;
        Measurement? test = null;
        if (data.Test.Count > 0)
        {
            test = Measure(Evaluation.Rows(data.Test));
            if (test is null) return false;
        }

        // Dropped while it was measured: the loop sees what is left.
        var due = control.Milestones.Where(milestone => diverged || milestone == step).ToList();
        if (due.Count == 0) return false;

        foreach (var milestone in due)
        {
            var path = Path.Combine(command.OutputDirectory, $"step-{milestone}.safetensors");
            var info = new WeightsInfo(parameters, data.Shape, data.Classes, data.Hash, milestone, validation.Accuracy);
            var hash = WeightsFile.Write(path, network, info);
            var lossIsFinite = double.IsFinite(validation.Loss) && double.IsFinite(sums.Loss);
            Report(new MilestoneEvent(
                command.TrajectoryId, milestone, validation.Accuracy, validation.Loss, validation.MeanSquaredError, test?.Accuracy,
                diverged || !lossIsFinite, path, hash, trainSeconds, reproducible));
            control.Milestones.Remove(milestone);
        }

        if (control.Milestones.Count > 0) WriteCheckpoint();
        return true;
    }

    private Measurement? Measure(int[] rows) => Evaluation.Measure(network, data, rows, () =>
    {
        host.Attend(control);
        return control.MustStop;
    });

    private void WriteCheckpoint()
    {
        var path = Path.Combine(command.OutputDirectory, $"checkpoint-{step}.safetensors");
        Checkpoint.Write(path, new()
        {
            Parameters = parameters,
            DataSetHash = data.Hash,
            Step = step,
            TrainSeconds = trainSeconds,
            Diverged = diverged,
            PointIsDue = pointIsDue,
            LossSum = sums.Loss,
            RightSum = sums.Right,
            ImageSum = sums.Images,
            Engine = Engine.Name,
            EngineVersion = Engine.Version,
            Device = Engine.Device,
            Reproducible = reproducible,
        }, Tensors);
        checkpointSeconds = trainSeconds;
        Report(new CheckpointEvent(command.TrajectoryId, step, path, trainSeconds));
    }

    private RunningSums Resume(string path)
    {
        var state = Checkpoint.Read(path, Tensors, state => TrainCommandCheck.ThrowIfUnfit(path, state, command, data));
        step = state.Step;
        trainSeconds = state.TrainSeconds;
        diverged = state.Diverged;
        pointIsDue = state.PointIsDue;
        reproducible &= state.Reproducible
            && (state.Engine, state.EngineVersion, state.Device) == (Engine.Name, Engine.Version, Engine.Device);
        return new(state.LossSum, state.RightSum, state.ImageSum);
    }

    private void ReportProgress()
    {
        var perSecond = (step - progressStep) / Math.Max(trainSeconds - progressSeconds, 1e-9);
        var epoch = (double)step / batches.StepsPerEpoch;
        Report(new ProgressEvent(command.TrajectoryId, step, epoch, sums.LastLoss, perSecond, trainSeconds));
        (progressTime, progressStep, progressSeconds) = (Stopwatch.GetTimestamp(), step, trainSeconds);
    }

    private void Report(TrainingEvent happened) => host.Report(happened);
}
