using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Cli;

/// <summary>Carries out a slot's commands: one training at a time, predictions at once, also between a training's steps.</summary>
internal sealed class SlotHost(CommandInbox inbox, EventOutput output, Predictor predictor) : ITrainingHost
{
    /// <summary>Works until the input ends.</summary>
    public void Run()
    {
        while (inbox.Take() is { } command)
        {
            switch (command)
            {
                case TrainCommand train:
                    Train(train);
                    break;
                case PredictCommand predict:
                    output.Send(predictor.Answer(predict));
                    break;
                default:
                    // Sent before its sender heard that the training had ended.
                    Console.Error.WriteLine($"Nothing is being trained: {command} was ignored.");
                    break;
            }
        }
    }

    public void Report(TrainingEvent happened) => output.Send(happened);

    public void Attend(TrainingControl control)
    {
        if (inbox.Ended) control.Abandoned = true;
        while (!control.Abandoned && inbox.TryTake(out var command))
        {
            switch (command)
            {
                case PredictCommand predict:
                    output.Send(predictor.Answer(predict));
                    break;
                case StopCommand stop when stop.TrajectoryId == control.TrajectoryId:
                    control.StopRequested = true;
                    break;
                case MilestonesCommand milestones when milestones.TrajectoryId == control.TrajectoryId:
                    control.Want(milestones.Steps ?? []);
                    break;
                case CheckpointCommand checkpoint when checkpoint.TrajectoryId == control.TrajectoryId:
                    control.CheckpointRequested = true;
                    break;
                case TrainCommand train:
                    output.Send(new FailedEvent(train.TrajectoryId, $"The trainer is busy with {control.TrajectoryId}."));
                    break;
                default:
                    Console.Error.WriteLine($"{control.TrajectoryId} is being trained: {command} was ignored.");
                    break;
            }
        }
    }

    // Whatever goes wrong costs this training only; the trainer stays warm for the next.
    private void Train(TrainCommand command)
    {
        try
        {
            using var run = new TrainingRun(command, this);
            run.Train();
        }
        catch (Exception error) when (!inbox.Ended)
        {
            // What its sender can mend is told by the message; anything else needs its trace.
            if (error is not (InvalidDataException or IOException)) Console.Error.WriteLine(error);
            // That one's message is its type's name.
            output.Send(new FailedEvent(command.TrajectoryId, error is OutOfMemoryException ? "There was not enough memory for this training." : error.Message));
        }
    }
}
