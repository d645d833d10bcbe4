using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Workers;

/// <summary>A worker process.</summary>
/// <param name="Status"><c>alive</c> (seen within the last 30 seconds), <c>lost</c> (silent for longer), or <c>stopped</c> (ended in order).</param>
/// <param name="Slots">How many trajectories it trains at a time.</param>
/// <param name="BusySlots">How many of them train now.</param>
/// <param name="MemoryBytes">Resident memory of the process and its trainers at the last heartbeat; null before the first.</param>
/// <param name="Trainers">What it can train with.</param>
/// <param name="TorchEngine">As its trainers report it; null until the first one is warm.</param>
public sealed record WorkerResponse(
    Guid Id,
    string Name,
    [property: AllowedValues("alive", "lost", "stopped")] string Status,
    string Host,
    int ProcessId,
    string Version,
    IReadOnlyList<string> Trainers,
    int Slots,
    int BusySlots,
    long? MemoryBytes,
    string JobEngine,
    string? TorchEngine,
    DateTimeOffset StartedAt,
    DateTimeOffset LastSeenAt,
    DateTimeOffset? StoppedAt);

/// <summary>What runs here.</summary>
/// <param name="Version">Of this service.</param>
/// <param name="JobEngine">What wakes workers, with its version.</param>
/// <param name="JobDashboard">The path of Hangfire's dashboard.</param>
/// <param name="TorchEngines">What trains, as the workers that are alive report it.</param>
/// <param name="Database">The server, with its version.</param>
/// <param name="Schema">The last migration that was applied.</param>
public sealed record AboutResponse(
    string Name, string Version, string JobEngine, string JobDashboard, IReadOnlyList<string> TorchEngines, string Database, string Schema, Limits Limits);

/// <param name="ExperimentsPerRequest">The most that one request generates.</param>
/// <param name="PageSize">The most items of one page.</param>
/// <param name="OpenPredictions">The most predictions that wait at a time.</param>
/// <param name="PredictionWaitSeconds">The longest that a prediction's request waits for the answer.</param>
/// <param name="PredictionImages">The most images of one request.</param>
/// <param name="ImagePixels">The most pixels of an image.</param>
public sealed record Limits(int ExperimentsPerRequest, int PageSize, int OpenPredictions, int PredictionWaitSeconds, int PredictionImages, int ImagePixels);
