using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Training.Loop;

namespace MlExperiments.Training.Tests.Support;

/// <summary>Keeps what a training reports, and acts on it as the test wants.</summary>
internal sealed class RecordingHost : ITrainingHost
{
    private int _boundaries;

    public List<TrainingEvent> Events { get; } = [];

    /// <summary>Called at each boundary with how many there were before.</summary>
    public Action<TrainingControl, int>? OnAttend { get; init; }

    public IEnumerable<T> Of<T>() where T : TrainingEvent => Events.OfType<T>();

    public void Report(TrainingEvent happened) => Events.Add(happened);

    public void Attend(TrainingControl control) => OnAttend?.Invoke(control, _boundaries++);

    /// <summary>The results without the times and paths that differ from run to run, and without <see cref="Classes"/>.</summary>
    public IReadOnlyList<MilestoneEvent> Results =>
        [.. Of<MilestoneEvent>().Select(milestone => milestone with { TrajectoryId = default, Weights = "", TrainSeconds = 0, Classes = null, TestClasses = null })];

    /// <summary>The results by class, as they cross the protocol.</summary>
    public IReadOnlyList<string> Classes =>
        [.. Of<MilestoneEvent>().Select(milestone => JsonSerializer.Serialize(new[] { milestone.Classes, milestone.TestClasses }, ContractJson.Options))];

    public IReadOnlyList<string> Points =>
        [.. Of<MetricsEvent>().Select(point => $"{point.Step} {string.Join(' ', point.Values.Select(value => $"{value.Key}={value.Value:R}"))}")];
}

internal static class Runs
{
    public static RecordingHost Train(
        TrajectoryParameters parameters, string dataSet, string output, int[] milestones, string? checkpoint = null, RecordingHost? host = null,
        int evaluateEvery = 50, double checkpointEverySeconds = 0, TimeSpan? progressInterval = null)
    {
        host ??= new();
        using var run = new TrainingRun(
            new(Guid.NewGuid(), parameters, dataSet, milestones, checkpoint, output, evaluateEvery, checkpointEverySeconds), host, progressInterval);
        run.Train();
        return host;
    }
}
