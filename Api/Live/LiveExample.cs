using System.Text.Json.Nodes;
using MlExperiments.Api.Experiments;

namespace MlExperiments.Api.Live;

/// <summary>What a stream looks like, for the documentation.</summary>
internal static class LiveExample
{
    private const string Progress = """
        {"status": "running", "waitingFor": null, "step": 500, "epoch": 0.6667, "bestAccuracy": 0.981, "bestStep": 500, "startedAt": "2026-03-01T09:00:02+00:00", "worker": "worker-1",
         "stepsPerSecond": 95.2, "secondsLeft": 15.8, "trainLoss": 0.083, "trainAccuracy": 0.974, "validationLoss": 0.061, "validationAccuracy": 0.981}
        """;

    public static string Stream { get; } =
        $"retry: 2000\n\n: ping\nid: 1772355606000000\n\nevent: experiment\ndata: {Running()}\nid: {EventId.Example}\n\n";

    private static string Running()
    {
        var experiment = JsonNode.Parse(ExperimentsEndpoints.QueuedExample)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(Progress)!.AsObject())
            experiment[name] = value?.DeepClone();
        return experiment.ToJsonString();
    }
}
