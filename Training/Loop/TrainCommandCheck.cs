using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;
using MlExperiments.Training.Checkpoints;

namespace MlExperiments.Training.Loop;

/// <summary>What must hold before a training starts; whoever sent the command reads the messages.</summary>
internal static class TrainCommandCheck
{
    private const int SecondsOfADay = 86_400;

    private static ParameterDefinition Steps => ParameterDefinition.All[ParameterDefinition.Steps];

    private static ParameterDefinition LearningRate => ParameterDefinition.All["learningRate"];

    /// <exception cref="InvalidDataException">A member is missing or out of range.</exception>
    public static void ThrowIfInvalid(TrainCommand command)
    {
        ThrowIfInvalid(command.Parameters);
        if (command.DataSet is null || command.OutputDirectory is null || command.Milestones is not { Count: > 0 })
            throw new InvalidDataException("A training needs a data set, an output folder and at least one milestone.");
        if (command.Milestones.Any(milestone => Steps.Check(milestone) is not null)) throw new InvalidDataException($"Milestones are steps, {Steps.Limits}.");
        if (command.EvaluateEvery < 1) throw new InvalidDataException($"evaluateEvery is {command.EvaluateEvery}; it must be at least 1.");
        if (command.CheckpointEverySeconds is not (>= 0 and <= SecondsOfADay))
            throw new InvalidDataException($"checkpointEverySeconds is {command.CheckpointEverySeconds}; it must be 0 (none on the way) to {SecondsOfADay:N0}.");
        if (!Directory.Exists(command.OutputDirectory)) throw new InvalidDataException($"There is no output folder {command.OutputDirectory}.");
    }

    /// <exception cref="InvalidDataException">A parameter is out of its range.</exception>
    public static void ThrowIfInvalid(TrajectoryParameters parameters)
    {
        if (parameters is null) throw new InvalidDataException("A training needs parameters.");
        var errors = ParameterDefinition.Check(parameters).ToList();
        if (errors.Count > 0) throw new InvalidDataException(string.Join(" ", errors));
        var changes = parameters.LearningRateChanges ?? [];
        if (changes.Any(change => change is null || Steps.Check(change.Step) is not null || LearningRate.Check(change.LearningRate) is not null)
            || changes.Zip(changes.Skip(1)).Any(pair => pair.First.Step >= pair.Second.Step))
            throw new InvalidDataException($"learningRateChanges have steps, {Steps.Limits}, ascending, and rates, {LearningRate.Limits}.");
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
