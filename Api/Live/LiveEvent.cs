using System.Text;
using System.Text.Json;
using MlExperiments.Api.Infrastructure;

namespace MlExperiments.Api.Live;

/// <summary>What a stream is about: everything, one model, or one experiment of it.</summary>
internal sealed record LiveScope(Guid? ModelId, Guid? ExperimentId)
{
    /// <param name="id">Of an experiment, or of its model itself.</param>
    public bool Includes(Guid id, Guid modelId) =>
        (ModelId is null || ModelId == modelId) && (ExperimentId is null || ExperimentId == id || id == modelId);

    /// <summary>Whether nothing is left of it when this is deleted.</summary>
    public bool EndsWith(Guid deletedId) => ModelId == deletedId || ExperimentId == deletedId;
}

/// <summary>One event as all its streams write it, but for the id.</summary>
/// <param name="Id">What it is about: a later one about the same takes its place.</param>
internal sealed record LiveEvent(Guid Id, Guid ModelId, bool IsDeletion, byte[] Frame)
{
    public static readonly LiveEvent Resync = new(
        Guid.Empty, Guid.Empty, false, FrameOf("resync", new LiveResync("Too much has changed to be told one by one: read the list of experiments again.")));

    public static LiveEvent Of(LiveExperiment experiment) => new(experiment.Id, experiment.ModelId, false, FrameOf("experiment", experiment));

    public static LiveEvent Of(LiveChange deletion) => new(
        deletion.Id,
        deletion.ModelId,
        true,
        FrameOf("deleted", new LiveDeletion(deletion.Id, deletion.Id == deletion.ModelId ? "model" : "experiment", deletion.ModelId)));

    // Without indentation JSON has no line breaks, which would end the data.
    private static byte[] FrameOf<T>(string name, T data) => Encoding.UTF8.GetBytes($"event: {name}\ndata: {JsonSerializer.Serialize(data, ApiJson.Options)}\n");
}
