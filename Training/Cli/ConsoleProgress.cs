using System.Globalization;
using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;
using Spectre.Console;

namespace MlExperiments.Training.Cli;

/// <summary>A training for a person: a bar on a terminal, else a line a second, on standard error; Ctrl-C stops it with a checkpoint.</summary>
internal sealed class ConsoleProgress : ITrainingHost, IDisposable
{
    private readonly ExperimentParameters parameters;
    private readonly PosixSignalRegistration interrupt;
    private volatile bool stop;
    private ProgressTask? bar;
    private string? checkpoint;

    public ConsoleProgress(ExperimentParameters parameters)
    {
        this.parameters = parameters;
        interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal =>
        {
            signal.Cancel = true; // the training writes its checkpoint first
            stop = true;
        });
    }

    /// <summary>On the validation split, 0 to 1; null until the training is measured.</summary>
    public double? Accuracy { get; private set; }

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
                bar = display.AddTask("training", maxValue: parameters.Steps);
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
                    $"step {progress.Step}/{parameters.Steps}  loss {progress.Loss:F4}  {progress.StepsPerSecond:F1} steps/s"));
                break;
            case MilestoneEvent milestone:
                Accuracy = milestone.Accuracy;
                var diverged = milestone.Diverged ? "; it diverged" : "";
                Write(milestone.Step, string.Create(CultureInfo.InvariantCulture, $"trained in {milestone.TrainSeconds:F1} s{diverged}"));
                break;
            case CheckpointEvent written:
                // The one before is of no more use; that of the last step stays, for a longer training to go on from.
                if (checkpoint is not null && checkpoint != written.Path) File.Delete(checkpoint);
                checkpoint = written.Path;
                break;
        }
    }

    public void Attend(TrainingControl control) => control.StopRequested |= stop;

    public void Dispose() => interrupt.Dispose();

    private void Write(int step, string text)
    {
        if (bar is null)
        {
            Console.Error.WriteLine(text);
            return;
        }

        bar.Value = step;
        bar.Description = text.EscapeMarkup();
    }
}
