using System.Text.Json;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>What an experiment is asked for, of the answer about it.</summary>
internal static class ExperimentAnswers
{
    public static string Id(JsonElement experiment) => experiment.GetProperty("id").GetString()!;

    public static string Status(JsonElement experiment) => experiment.GetProperty("status").GetString()!;

    public static bool IsFinal(JsonElement experiment) => Status(experiment) is "completed" or "failed" or "cancelled";

    public static int Step(JsonElement experiment) => experiment.GetProperty("step").GetInt32();

    public static double Accuracy(JsonElement experiment) => experiment.GetProperty("accuracy").GetDouble();

    public static string Hash(JsonElement experiment) =>
        experiment.GetProperty("weightsHash").GetString() ?? throw new AssertionException($"There are no weights: {experiment}");

    /// <summary>Newest first; the last step is null while it runs.</summary>
    public static List<(int From, int? To)> Attempts(JsonElement experiment) =>
    [
        .. experiment.GetProperty("attempts").EnumerateArray().Select(attempt => (
            attempt.GetProperty("fromStep").GetInt32(),
            attempt.GetProperty("toStep") is { ValueKind: JsonValueKind.Number } step ? step.GetInt32() : (int?)null)),
    ];

    /// <summary>Whether it has its results, and the last attempt has ended too, which comes a moment after them.</summary>
    public static bool HasEnded(JsonElement experiment) => IsFinal(experiment) && Attempts(experiment).TrueForAll(attempt => attempt.To is not null);
}
