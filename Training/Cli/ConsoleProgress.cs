using System.Globalization;
using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;
using Spectre.Console;

namespace MlExperiments.Training.Cli;

/// <summary>A training for a person: a bar on a terminal, else a line a second, on standard error; Ctrl-C stops it with a checkpoint.</summary>
internal sealed class ConsoleProgress : ITrainingHost, IDisposable
{
    private readonly ExperimentParameters _parameters;
    private readonly PosixSignalRegistration _interrupt;
    private volatile bool _stop;
    private ProgressTask? _bar;
    private string? _checkpoint;

    public ConsoleProgress(ExperimentParameters parameters)
    {
        _parameters = parameters;
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal =>
        {
            signal.Cancel = true; // the training writes its checkpoint first
            _stop = true;
        });
    }

    /// <summary>Null until the training is measured.</summary>
    public MilestoneEvent? Measured { get; private set; }

    /// <summary>Runs the training behind the display.</summary>
    public void Show(Action train)
    {
        if (Console.IsErrorRedirected)
        {
            train();
            return;
        }

        AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(Console.Error) }).Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(display =>
            {
                _bar = display.AddTask("training", maxValue: _parameters.Steps);
                train();
            });
    }

    public void Report(TrainingEvent happened)
    {
        switch (happened)
        {
            case StartedEvent { Step: > 0 } started:
                Write(started.Step, $"going on from step {started.Step}");
                break;
            case ProgressEvent progress:
                Write(progress.Step, string.Create(
                    CultureInfo.InvariantCulture,
                    $"step {progress.Step}/{_parameters.Steps}  loss {progress.Loss:F4}  {progress.StepsPerSecond:F1} steps/s"));
                break;
            case MilestoneEvent milestone:
                Measured = milestone;
                var early = milestone is { EndedAtStep: { } step }
                    ? string.Create(CultureInfo.InvariantCulture, $"; it {(milestone.StoppedEarly ? "got no better and was stopped early" : "diverged")} at step {step}")
                    : milestone.Diverged ? "; it diverged" : "";
                Write(milestone.Step, string.Create(CultureInfo.InvariantCulture, $"trained in {milestone.TrainSeconds:F1} s{early}"));
                break;
            case CheckpointEvent written:
                // The one before is of no more use; that of the last step stays, for a longer training to go on from.
                if (_checkpoint is not null && _checkpoint != written.Path) File.Delete(_checkpoint);
                _checkpoint = written.Path;
                break;
        }
    }

    public void Attend(TrainingControl control) => control.StopRequested |= _stop;

    public void Dispose() => _interrupt.Dispose();

    private void Write(int step, string text)
    {
        if (_bar is null)
        {
            Console.Error.WriteLine(text);
            return;
        }

        _bar.Value = step;
        _bar.Description = text.EscapeMarkup();
    }
}
