using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Control;

/// <summary>Which experiments, by ids or where.</summary>
public sealed record SelectExperimentsRequest
{
    internal const int MaxIds = 1000;

    /// <summary>1 to 1,000 experiments.</summary>
    [Length(1, MaxIds, ErrorMessage = "ids are 1 to 1000: send the others in another request, or select with where.")]
    public IReadOnlyList<Guid>? Ids { get; init; }

    /// <summary>Every experiment of a model or of a study, or those of them that meet a condition, instead of ids.</summary>
    public WhereExperimentsRequest? Where { get; init; }
}

/// <summary>Experiments of this model or study (one of them at least) that meet all else that is given.</summary>
public sealed record WhereExperimentsRequest
{
    public Guid? ModelId { get; init; }

    public Guid? StudyId { get; init; }

    /// <summary>Any of these; those that can be changed unless given.</summary>
    [MaxLength(8, ErrorMessage = "There are eight statuses.")]
    public IReadOnlyList<ExperimentStatus>? Status { get; init; }

    /// <summary>Only those with this text in their name, worker or error, or with this number or id, as lists find them.</summary>
    public string? Search { get; init; }

    /// <summary>Only those that meet this, as lists are filtered: <c>learningRate &lt; 0.01 and layers = 2</c>.</summary>
    public string? Filter { get; init; }
}

/// <summary>What became of the selected experiments.</summary>
/// <param name="Changed">How many are in the state asked for now and were not before.</param>
/// <param name="Unchanged">How many were left alone, by the status that they are in.</param>
/// <param name="Missing">Ids of the selection that are no experiment's.</param>
public sealed record ControlResponse(int Changed, IReadOnlyDictionary<string, int> Unchanged, IReadOnlyList<Guid> Missing);

/// <summary>What to change of an experiment: at least one member.</summary>
public sealed record UpdateExperimentRequest
{
    /// <summary>1 to 200 characters.</summary>
    [PlainText(Experiment.MaxNameLength)]
    public string? Name { get; init; }

    /// <summary>They replace the experiment's tags: up to 20, of 1 to 50 characters each. Of tags that differ in case only, the first counts; [] removes all.</summary>
    [MaxLength(Model.MaxTags, ErrorMessage = "An experiment has at most 20 tags.")]
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>Up to 10,000 characters, with line breaks; "" removes them.</summary>
    [PlainText(Model.MaxNotesLength, Lines = true)]
    public string? Notes { get; init; }

    /// <summary>Higher is trained earlier; 0 unless given, -1000 to 1000.</summary>
    [Range(-1000, 1000, ErrorMessage = "priority is -1000 to 1000.")]
    public int? Priority { get; init; }

    /// <summary>Not trained before this time, up to ten years ahead; a time that is past means at once.</summary>
    public DateTimeOffset? StartAt { get; init; }

    /// <summary>
    /// Parameters by name. Before its first step, any of them; later learningRate, which holds from the next step boundary on, and steps.
    /// </summary>
    public Dictionary<string, JsonElement>? Parameters { get; init; }
}
