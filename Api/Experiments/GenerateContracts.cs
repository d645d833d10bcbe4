using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>What to explore. Everything may be left out, and so may the whole body: then it is the default 27.</summary>
public sealed record GenerateRequest
{
    internal const int MaxReplicates = 100;

    /// <summary>Names the study, 1 to 200 characters; made from the space unless given.</summary>
    [PlainText(Study.MaxNameLength)]
    public string? Name { get; init; }

    /// <summary>
    /// Parameters to try, by name: a list of values, or a range <c>{"min", "max", "step"}</c> or
    /// <c>{"min", "max", "scale": "log", "count"}</c>. It replaces the default space whole, which is learningRate [0.001, 0.01, 0.1], layers [1, 2, 4],
    /// steps [1000, 2000, 4000]. learningRate, steps or epochs, and layers where the architecture is cnn have to be here or in
    /// fixed. What they all are, an experiment's parameters say.
    /// </summary>
    public Dictionary<string, JsonElement>? Space { get; init; }

    /// <summary>Parameters with one value for all experiments. What is neither here nor in space has its default.</summary>
    public Dictionary<string, JsonElement>? Fixed { get; init; }

    public StrategyRequest? Strategy { get; init; }

    public ObjectiveRequest? Objective { get; init; }

    public LimitsRequest? Limits { get; init; }

    /// <summary>False leaves the experiments as drafts, to be started with train.</summary>
    public bool Start { get; init; } = true;

    /// <summary>
    /// True trains again what exists, with the same seed: new experiments beside the old ones, told apart by parameters.replicate. On the same
    /// engine and device the same has to come out.
    /// </summary>
    public bool Force { get; init; }

    /// <summary>
    /// How often each set of parameters is trained, with as many seeds in a row, 1 to 100: from fixed.seed or 0 on. The study's results then give
    /// means and deviations.
    /// </summary>
    [Range(1, MaxReplicates, ErrorMessage = "replicates is 1 to 100.")]
    public int Replicates { get; init; } = 1;

    /// <summary>Higher is trained earlier; 0 unless given, -1000 to 1000.</summary>
    [Range(-1000, 1000, ErrorMessage = "priority is -1000 to 1000.")]
    public int Priority { get; init; }

    /// <summary>Not trained before this time, up to ten years ahead; a time that is past means at once.</summary>
    public DateTimeOffset? StartAt { get; init; }
}

public sealed record StrategyRequest
{
    /// <summary><c>grid</c>: every combination.</summary>
    [AllowedValues("grid", ErrorMessage = "This version has one sampler: grid.")]
    public string Sampler { get; init; } = "grid";

    /// <summary>For samplers that draw; grid takes every combination, so leave it out.</summary>
    public int? Samples { get; init; }
}

public sealed record ObjectiveRequest
{
    /// <summary><c>accuracy</c>: on the validation split.</summary>
    [AllowedValues("accuracy", ErrorMessage = "This version has one objective: accuracy.")]
    public string Metric { get; init; } = "accuracy";

    /// <summary><c>maximize</c>.</summary>
    [AllowedValues("maximize", ErrorMessage = "accuracy is to maximize.")]
    public string Direction { get; init; } = "maximize";
}

/// <summary>
/// What the study may take. One that has used up its seconds or failures is stopped within seconds: what is queued or running is cancelled. That
/// happens once, so that whatever is retried afterwards goes on.
/// </summary>
public sealed record LimitsRequest
{
    /// <summary>
    /// At most so many of the study's trajectories train at a time, 1 to 1,000; as many as there are slots unless given. One that another study
    /// asks for too may train for that one, and counts here as well.
    /// </summary>
    [Range(1, Study.MaxRunning, ErrorMessage = "running is 1 to 1000.")]
    public int? Running { get; init; }

    /// <summary>Wall time from the start of the study's first training on, in seconds, 1 to 31,536,000 (a year).</summary>
    [Range(1, Study.MaxSeconds, ErrorMessage = "seconds is 1 to 31536000.")]
    public int? Seconds { get; init; }

    /// <summary>Stopped once so many of its experiments have failed, 1 to 10,000.</summary>
    [Range(1, Study.MaxFailures, ErrorMessage = "failures is 1 to 10000.")]
    public int? Failures { get; init; }
}

/// <summary>The study that came of a request.</summary>
/// <param name="Id">The study's id; null where every experiment existed already, so that there is no new study.</param>
/// <param name="Name">The study's name; null like the id.</param>
/// <param name="Experiments">The new experiments, in the order of the space.</param>
/// <param name="Existing">Those that the model had already on these images; they are not trained again. Drafts among them are queued with start.</param>
/// <param name="Trajectories">How many trainings all of these take: experiments that differ only in steps share one.</param>
public sealed record GenerateResponse(
    Guid? Id,
    string? Name,
    Guid ModelId,
    int Trajectories,
    IReadOnlyList<ExperimentResponse> Experiments,
    IReadOnlyList<ExperimentResponse> Existing);

/// <summary>What a request to generate would come to.</summary>
/// <param name="Experiments">That would be new.</param>
/// <param name="Existing">That the model has already on these images.</param>
/// <param name="Trajectories">How many trainings the new ones take: experiments that differ only in steps share one.</param>
/// <param name="Steps">Training steps of all of these, less those that have been trained for other experiments.</param>
/// <param name="Slots">Of the workers that are there now.</param>
/// <param name="EstimatedSeconds">On these slots (on one, where there is none), at the speed of the model's latest experiments of the same architecture with as many layers, in the same precision, else in any, else of all; null before one is completed.</param>
public sealed record PreviewResponse(int Experiments, int Existing, int Trajectories, long Steps, int Slots, double? EstimatedSeconds);

/// <param name="Queued">Experiments that were drafts and now wait for a worker.</param>
public sealed record TrainResponse(int Queued);
