using MlExperiments.Shared.Data;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker;

/// <summary>Who this process is in the rows that it writes, and what it can train.</summary>
public sealed class WorkerIdentity(IOptions<WorkerOptions> options)
{
    public Guid Id { get; } = Guid.CreateVersion7();

    public string Name { get; } = options.Value.Name is { Length: > 0 } name ? name : $"{Environment.MachineName}-{Environment.ProcessId}";

    public int Slots { get; } = SlotsOf(options.Value);

    public string[] Trainers { get; } = [Model.BuiltInTrainer];

    public string Version { get; } = typeof(WorkerIdentity).Assembly.GetName().Version!.ToString(3);

    public static int SlotsOf(WorkerOptions options) => options.Slots > 0 ? options.Slots : Environment.ProcessorCount;
}
