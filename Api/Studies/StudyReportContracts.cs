using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Studies;

/// <summary>What a study was, and all that came of it.</summary>
/// <param name="StartedAt">When its first training began; null before.</param>
/// <param name="FinishedAt">When its last experiment ended; null while one is still to.</param>
/// <param name="Definition">The request as it was understood: space, fixed, strategy, objective, limits, start, replicates, priority.</param>
/// <param name="Statuses">How many experiments there are by status; every status is there.</param>
/// <param name="Progress">Share of the training steps that are done, 0 to 1; steps that experiments share count once.</param>
/// <param name="EstimatedSecondsLeft">At the speed of the trajectories that run now; null while none does.</param>
/// <param name="TrainedSeconds">Training time that the completed experiments took, what they share counted once.</param>
/// <param name="SavedSeconds">Training time that they would have taken besides, had each been trained from its first step on.</param>
/// <param name="Parameters">Those that differ among the experiments, in the order of the space.</param>
/// <param name="Best">The most accurate one on the validation split, ties going to fewer steps; null until one is completed.</param>
/// <param name="Curves">Of the most accurate five trainings.</param>
/// <param name="Results">Means and deviations of parameters that were trained with two seeds or more, best mean first, at most 100.</param>
/// <param name="Experiments">Most accurate first, at most 1,000.</param>
/// <param name="MoreExperiments">How many more there are; format=csv has them all.</param>
/// <param name="Workers">Who trained it: at most 20, those with the most attempts first.</param>
public sealed record StudyReport(
    Guid Id,
    string Name,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    DateTimeOffset? StoppedAt,
    string? StopReason,
    DateTimeOffset ReportedAt,
    ReportModel Model,
    ReportImages Images,
    JsonElement Definition,
    IReadOnlyDictionary<string, int> Statuses,
    double Progress,
    double? EstimatedSecondsLeft,
    double TrainedSeconds,
    double SavedSeconds,
    IReadOnlyList<ReportParameter> Parameters,
    ReportBest? Best,
    IReadOnlyList<ReportCurve> Curves,
    IReadOnlyList<StudyResult> Results,
    IReadOnlyList<ReportExperiment> Experiments,
    int MoreExperiments,
    IReadOnlyList<ReportWorker> Workers,
    ReportVersions Versions,
    ReportCommands Commands);

/// <param name="InputWidth">Pixels.</param>
/// <param name="InputHeight">Pixels.</param>
/// <param name="InputChannels">1 (grey) or 3 (colour).</param>
public sealed record ReportModel(Guid Id, string Name, IReadOnlyList<string> Tags, string? Notes, int InputWidth, int InputHeight, int InputChannels);

/// <summary>The data set version that the study is bound to.</summary>
/// <param name="Hash">SHA-256 over its images, labels and splits, lower-case hex.</param>
public sealed record ReportImages(Guid DataSetVersionId, string Hash, IReadOnlyList<string> Classes, int Train, int Validation, int Test);

/// <param name="Values">Ascending, or by name.</param>
public sealed record ReportParameter(string Name, IReadOnlyList<ReportValue> Values);

/// <summary>What the experiments with one value of a parameter came to.</summary>
/// <param name="Value">A number or a word.</param>
/// <param name="MeanAccuracy">Of those that are completed, on the validation split; null until one is.</param>
public sealed record ReportValue(JsonElement Value, int Experiments, int Completed, double? HighestAccuracy, double? MeanAccuracy);

/// <param name="StoppedEarly">True where training ended before parameters.steps because parameters.patience ran out.</param>
/// <param name="Step">The last step that was trained; less than parameters.steps where it was stopped early or diverged.</param>
/// <param name="WeightsHash">SHA-256 over the weights' values, lower-case hex: equal for equal results.</param>
/// <param name="Reproducible">False where it trained on a GPU, or went on from a checkpoint of another engine, version, device or kind of CPU, or with points another distance apart.</param>
public sealed record ReportBest(
    Guid ExperimentId, int Number, string Name, ExperimentParameters Parameters, bool StoppedEarly, int Step, double Accuracy, double? TestAccuracy, string? WeightsHash, bool Reproducible);

/// <summary>Validation accuracy along the way, on part of the split; at most 200 points.</summary>
public sealed record ReportCurve(Guid ExperimentId, int Number, string Name, IReadOnlyList<ReportPoint> Points);

/// <param name="Accuracy">0 to 1.</param>
public sealed record ReportPoint(int Step, double Accuracy);

/// <param name="Loss">Mean cross entropy on the validation split in nats; null until completed, and where it is not finite.</param>
/// <param name="StoppedEarly">True where training ended before parameters.steps because parameters.patience ran out.</param>
/// <param name="Step">The last step that was trained; null until completed, less than parameters.steps where it was stopped early or diverged.</param>
/// <param name="DurationSeconds">Training time from its first step to its last, whoever paid for it.</param>
/// <param name="SavedSeconds">The part of it that had been trained for another experiment.</param>
/// <param name="Error">Why it failed, or was cancelled by the service; its first 500 characters.</param>
public sealed record ReportExperiment(
    Guid Id,
    int Number,
    string Name,
    IReadOnlyList<string> Tags,
    ExperimentStatus Status,
    ExperimentParameters Parameters,
    double? Accuracy,
    double? TestAccuracy,
    double? Loss,
    bool Diverged,
    bool StoppedEarly,
    int? Step,
    double? DurationSeconds,
    double? SavedSeconds,
    string? Error);

/// <summary>A worker that trained some of it. What else is known of it, is so as long as its row is kept.</summary>
/// <param name="Attempts">How often it began or went on with one of the trainings.</param>
public sealed record ReportWorker(
    string Name, int Attempts, DateTimeOffset FirstAt, DateTimeOffset LastAt, string? Host, string? Version, string? TorchEngine, string? JobEngine);

/// <param name="Service">Of this service, which may be newer than what trained.</param>
/// <param name="TorchEngines">What trained, as the workers report it.</param>
public sealed record ReportVersions(string Service, string JobEngine, IReadOnlyList<string> TorchEngines);

/// <summary>For a shell.</summary>
/// <param name="Generate">Asks for the same study once more.</param>
/// <param name="Train">Trains the best experiment without the service; null until there is one.</param>
public sealed record ReportCommands(string Generate, string? Train);
