using System.Diagnostics;
using MlExperiments.Shared;
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
    // errno of Linux, which .NET hands on as it is.
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    private static readonly TimeSpan StandardProgressInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RoomInterval = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan RoomWithin = TimeSpan.FromMinutes(5);

    private readonly TrainCommand _command;
    private readonly TrajectoryParameters _parameters;
    private readonly ITrainingHost _host;
    private readonly TrainingControl _control;
    private readonly PackedDataSet _data;
    private readonly Batches _batches;
    private readonly Network _network;
    private readonly IOptimizer _optimizer;
    private readonly Tensor? _classWeights;
    private readonly RunningSums _sums;
    private readonly int[] _pointRows;
    private readonly TimeSpan _progressInterval;

    private double _trainSeconds;
    private bool _reproducible = Engine.IsDeterministic;
    private bool _diverged;
    private Patience _patience;
    private bool _pointIsDue;
    private double _checkpointSeconds;
    private long _progressTime = Stopwatch.GetTimestamp();
    private int _progressStep;
    private double _progressSeconds;
    private double _stepsPerSecond;

    /// <summary>Loads the data set and the checkpoint.</summary>
    /// <param name="progressInterval">The least time between two <see cref="ProgressEvent"/>s; a second where null.</param>
    /// <exception cref="InvalidDataException">The command can't be carried out; the message says why.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public TrainingRun(TrainCommand command, ITrainingHost host, TimeSpan? progressInterval = null)
    {
        TrainCommandCheck.ThrowIfInvalid(command);
        _command = command;
        _host = host;
        _progressInterval = progressInterval ?? StandardProgressInterval;
        _parameters = command.Parameters;
        _patience = new(_parameters);
        _control = new(command.TrajectoryId, command.Milestones);
        _data = PackedDataSet.Open(command.DataSet);
        try
        {
            if (_data.Train.Count == 0 || _data.Validation.Count == 0)
                throw new InvalidDataException($"{command.DataSet}: There are {_data.Train.Count} training and {_data.Validation.Count} validation images; both are needed.");

            _batches = new(_data, _parameters);
            _pointRows = Evaluation.Subset(_data);
            _network = Network.Create(_parameters, _data.Shape, _data.Classes.Count);
            _classWeights = ClassWeights.Create(_parameters, _data);
            _optimizer = Optimizers.Create(_parameters, _network.Flat.NumberOfElements);
            _sums = command.Checkpoint is { } path ? Resume(path) : new();
        }
        catch
        {
            Dispose();
            throw;
        }

        _checkpointSeconds = _progressSeconds = _trainSeconds;
        _progressStep = _control.Step;
    }

    private IReadOnlyList<(string Name, Tensor Values)> Tensors => 
    [
        ("parameters", _network.Flat),
        .. _network.Buffers is { } buffers ? [("buffers", buffers)] : Array.Empty<(string, Tensor)>(),
        .. _optimizer.State,
    ];

    // No further step would change anything: the milestones that are left are measured now.
    private bool Ended => _diverged || _patience.HasRunOut;

    /// <summary>Trains until the milestones are measured or the host wants it to stop.</summary>
    public void Train()
    {
        Report(new StartedEvent(_command.TrajectoryId, _control.Step, _reproducible));
        while (true)
        {
            _host.Attend(_control);
            if (_control.Abandoned) return;
            if (_control.StopRequested || _control.Milestones.Count == 0)
            {
                WriteCheckpoint();
                Report(new StoppedEvent(_command.TrajectoryId, _control.Step));
                return;
            }

            if (_pointIsDue && !MeasurePoint()) continue;

            if ((Ended || _control.Milestones.Min == _control.Step) && !MeasureMilestones()) continue;
            if (_control.Milestones.Count == 0)
            {
                WriteCheckpoint();
                Report(new DoneEvent(_command.TrajectoryId, _control.Step));
                return;
            }

            var checkpointIsDue = _command.CheckpointEverySeconds > 0 && _trainSeconds - _checkpointSeconds >= _command.CheckpointEverySeconds;
            // Before the first step there is nothing to go on from: what is asked for then is written after it.
            if (checkpointIsDue || (_control.CheckpointRequested && _control.Step > 0)) WriteCheckpoint();

            Step();
            ReportProgressWhenDue();
        }
    }

    public void Dispose()
    {
        // A constructor that throws comes here too, with what it has made so far.
        _sums?.Dispose();
        _optimizer?.Dispose();
        _classWeights?.Dispose();
        _network?.Dispose();
        _data.Dispose();
    }

    private void Step()
    {
        var started = Stopwatch.GetTimestamp();
        using (NewDisposeScope())
        {
            var (images, labels) = _batches.Load(_control.Step);
            var (logits, loss, gradient) = _network.Train(
                images, Seeds.For(_parameters.Seed, Purpose.Dropout, _control.Step), output => functional.cross_entropy(output, labels, _classWeights));
            using (no_grad())
            {
                _optimizer.Apply(_network.Flat, gradient, _parameters.ScheduledRateAt(_control.Step), _control.Step + 1);
                _sums.Add(loss, logits, labels, (int)labels.shape[0]);
            }
        }

        _control.Step++;
        _pointIsDue = _control.Step % _command.EvaluateEvery == 0;
        _trainSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
        FailPoint.Hit("trainer.step");
    }

    // Only here is a training found to have diverged or to get no better, so that it ends at the same step whatever its milestones are.
    private bool MeasurePoint()
    {
        if (Measure(_pointRows) is not { } validation) return false;
        var loss = _sums.Loss / _sums.Images;
        _diverged |= !double.IsFinite(loss) || !double.IsFinite(validation.Loss);
        _patience.Add(validation);
        Report(new MetricsEvent(_command.TrajectoryId, _control.Step, new Dictionary<string, double>
        {
            ["loss"] = loss,
            ["accuracy"] = (double)_sums.Right / _sums.Images,
            ["validationLoss"] = validation.Loss,
            ["validationAccuracy"] = validation.Accuracy,
        }));
        _sums.Reset();
        _pointIsDue = false;
        return true;
    }

    // The one at this step, or all that are left.
    private bool MeasureMilestones()
    {
        var classes = NewTally();
        if (Measure(Evaluation.Rows(_data.Validation), classes) is not { } validation) return false;
        Measurement? test = null;
        var testClasses = _data.Test.Count > 0 ? NewTally() : null;
        if (_data.Test.Count > 0)
        {
            test = Measure(Evaluation.Rows(_data.Test), testClasses);
            if (test is null) return false;
        }

        // Dropped while it was measured: the loop sees what is left.
        var due = _control.Milestones.Where(milestone => Ended || milestone == _control.Step).ToList();
        if (due.Count == 0) return false;

        var (byClass, testByClass) = (classes?.ToMeasurement(), testClasses?.ToMeasurement());
        foreach (var milestone in due)
        {
            var isEarly = milestone > _control.Step;
            var path = Path.Combine(_command.OutputDirectory, $"step-{milestone}.safetensors");
            var info = new WeightsInfo(_parameters, _data.Shape, _data.Classes, _data.Hash, milestone, validation.Accuracy, isEarly ? _control.Step : null);
            if (WriteOnceThereIsRoom(() => WeightsFile.Write(path, _network, info)) is not { } hash) return false;
            var lossIsFinite = double.IsFinite(validation.Loss) && double.IsFinite(_sums.Loss);
            Report(new MilestoneEvent(
                _command.TrajectoryId, milestone, validation.Accuracy, validation.Loss, validation.MeanSquaredError, test?.Accuracy,
                _diverged || !lossIsFinite, path, hash, _trainSeconds, _reproducible, byClass, testByClass,
                isEarly && !_diverged, isEarly ? _control.Step : null));
            _control.Milestones.Remove(milestone);
        }

        if (_control.Milestones.Count > 0) WriteCheckpoint();
        return true;
    }

    private ClassTally? NewTally() => _data.Classes.Count <= ClassMeasurement.MaxClasses ? new(_data.Classes.Count) : null;

    private Measurement? Measure(int[] rows, ClassTally? classes = null) => Evaluation.Measure(
        _network,
        _data,
        rows,
        () =>
        {
            _host.Attend(_control);
            ReportProgressWhenDue();
            return _control.MustStop;
        },
        classes);

    private void WriteCheckpoint()
    {
        var path = Path.Combine(_command.OutputDirectory, $"checkpoint-{_control.Step}.safetensors");
        var state = new CheckpointState
        {
            Parameters = _parameters,
            DataSetHash = _data.Hash,
            Step = _control.Step,
            TrainSeconds = _trainSeconds,
            Diverged = _diverged,
            PointIsDue = _pointIsDue,
            LossSum = _sums.Loss,
            RightSum = _sums.Right,
            ImageSum = _sums.Images,
            LastLoss = _sums.LastLoss,
            PatienceBest = _patience.Best,
            PatienceWaited = _patience.Waited,
            Engine = Engine.Name,
            EngineVersion = Engine.Version,
            Kernels = Engine.Kernels,
            Device = Engine.Device,
            Processor = Processor.Name,
            EvaluateEvery = _command.EvaluateEvery,
            Reproducible = _reproducible,
        };
        if (WriteOnceThereIsRoom(() => Checkpoint.Write(path, state, Tensors)) is null) return;
        FailPoint.Hit("trainer.checkpoint");
        _checkpointSeconds = _trainSeconds;
        _control.CheckpointRequested = false;
        Report(new CheckpointEvent(_command.TrajectoryId, _control.Step, path, _trainSeconds));
    }

    // A full disk costs a training time, and its life only when it stays full. Null where nothing is waited for: it is to stop, or has measured all.
    private string? WriteOnceThereIsRoom(Func<string> write)
    {
        var started = Stopwatch.GetTimestamp();
        for (var tries = 0; ; tries++)
        {
            try
            {
                return write();
            }
            catch (IOException error) when (error.HResult is NoSpace or QuotaExceeded && Stopwatch.GetElapsedTime(started) < RoomWithin)
            {
                if (tries == 0) Console.Error.WriteLine($"Waits for room: {error.Message}");
                _host.Attend(_control);
                if (_control.MustStop || _control.Milestones.Count == 0) return null;
                ReportProgressWhenDue();
                Task.Delay(RoomInterval).Wait();
            }
        }
    }

    private RunningSums Resume(string path)
    {
        var state = Checkpoint.Read(path, Tensors, state => TrainCommandCheck.ThrowIfUnfit(path, state, _command, _data));
        _control.Step = state.Step;
        _trainSeconds = state.TrainSeconds;
        _diverged = state.Diverged;
        _pointIsDue = state.PointIsDue;
        _patience = new(_parameters, state.PatienceBest, state.PatienceWaited);
        _reproducible &= state.Reproducible
            && (state.Engine, state.EngineVersion, state.Kernels, state.Device, state.Processor)
                == (Engine.Name, Engine.Version, Engine.Kernels, Engine.Device, Processor.Name)
            && (state.EvaluateEvery ?? _command.EvaluateEvery) == _command.EvaluateEvery;
        return new(state.LossSum, state.RightSum, state.ImageSum, state.LastLoss);
    }

    private void ReportProgressWhenDue()
    {
        if (Stopwatch.GetElapsedTime(_progressTime) < _progressInterval) return;
        // While a measurement takes its time, no steps are done: the speed stays what it was.
        if (_control.Step > _progressStep) _stepsPerSecond = (_control.Step - _progressStep) / Math.Max(_trainSeconds - _progressSeconds, 1e-9);
        var epoch = (double)_control.Step / _batches.StepsPerEpoch;
        Report(new ProgressEvent(_command.TrajectoryId, _control.Step, epoch, _sums.LastLoss, _stepsPerSecond, _trainSeconds));
        (_progressTime, _progressStep, _progressSeconds) = (Stopwatch.GetTimestamp(), _control.Step, _trainSeconds);
    }

    private void Report(TrainingEvent happened) => _host.Report(happened);
}
