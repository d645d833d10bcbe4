using System.ComponentModel.DataAnnotations;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Checkpoints;

namespace MlExperiments.Training.Loop;

/// <summary>What must hold before a training starts; whoever sent the command reads the messages.</summary>
internal static class TrainCommandCheck
{
    /// <exception cref="InvalidDataException">A member is missing or out of range.</exception>
    public static void ThrowIfInvalid(TrainCommand command)
    {
        ThrowIfInvalid(command.Parameters);
        if (command.DataSet is null || command.OutputDirectory is null || command.Milestones is not { Count: > 0 })
            throw new InvalidDataException("A training needs a data set, an output folder and at least one milestone.");
        if (command.Milestones.Any(milestone => milestone < 1)) throw new InvalidDataException("Milestones are steps from 1 on.");
        if (command.EvaluateEvery < 1) throw new InvalidDataException($"evaluateEvery is {command.EvaluateEvery}; it must be at least 1.");
        if (!Directory.Exists(command.OutputDirectory)) throw new InvalidDataException($"There is no output folder {command.OutputDirectory}.");
    }

    /// <exception cref="InvalidDataException">A parameter is out of its range.</exception>
    public static void ThrowIfInvalid(TrajectoryParameters parameters)
    {
        if (parameters is null) throw new InvalidDataException("A training needs parameters.");
        var results = new List<ValidationResult>();
        if (!Validator.TryValidateObject(parameters, new(parameters), results, validateAllProperties: true))
            throw new InvalidDataException(string.Join(" ", results.Select(result => result.ErrorMessage)));
        var changes = parameters.LearningRateChanges ?? [];
        if (changes.Any(change => change.Step < 1 || change.LearningRate is not (>= 1e-7 and <= 10))
            || changes.Zip(changes.Skip(1)).Any(pair => pair.First.Step >= pair.Second.Step))
            throw new InvalidDataException("learningRateChanges have steps from 1 on, ascending, and rates from 1e-7 to 10.");
    }

    /// <exception cref="InvalidDataException">The checkpoint is another training's, or lies behind a milestone.</exception>
    public static void ThrowIfUnfit(string path, CheckpointState state, TrainCommand command, PackedDataSet data)
    {
        var wanted = command.Parameters;
        if (state.Parameters with { LearningRate = wanted.LearningRate, LearningRateChanges = wanted.LearningRateChanges, Replicate = wanted.Replicate } != wanted)
            throw new InvalidDataException($"{path}: The checkpoint was made with other parameters than the learning rate: {state.Parameters}.");
        // Later ones may differ: that is how a training is gone on with at another learning rate.
        if (!LearningRatesBefore(state.Step, state.Parameters).SequenceEqual(LearningRatesBefore(state.Step, wanted)))
            throw new InvalidDataException($"{path}: The checkpoint's {state.Step} steps were done at other learning rates.");
        if (state.DataSetHash != data.Hash)
            throw new InvalidDataException($"{path}: The checkpoint was made on the data set {state.DataSetHash}, not {data.Hash}.");
        if (command.Milestones.Min() < state.Step)
            throw new InvalidDataException($"{path}: The checkpoint is at step {state.Step}, beyond the milestone {command.Milestones.Min()}.");
    }

    private static IEnumerable<LearningRateChange> LearningRatesBefore(int step, TrajectoryParameters parameters) =>
        (parameters.LearningRateChanges ?? []).Prepend(new(0, parameters.LearningRate)).Where(change => change.Step < step);
}
