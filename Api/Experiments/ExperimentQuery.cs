using System.ComponentModel;
using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Which experiments a list is asked for.</summary>
internal sealed class ExperimentQuery
{
    private const int MaxSearchLength = 200;

    [FromQuery(Name = "status"), Words(typeof(StatusCounts))]
    [Description("Only experiments in these statuses: several times, or several with commas between them.")]
    public string[]? Status { get; init; }

    [FromQuery(Name = "studyId"), Description("Only experiments of this study.")]
    public Guid? StudyId { get; init; }

    [FromQuery(Name = "search"), Description("Only experiments with this text in their name, worker or error, in any case of letters, or with this number or id.")]
    public string? Search { get; init; }

    [FromQuery(Name = "filter")]
    [Description(
        "Only experiments that meet this, by any column that lists sort by: `learningRate < 0.01 and (layers = 2 or accuracy >= 0.98)`. There are and, or, not, brackets, = != < <= > >=, " +
        "~ (contains), in (1, 2), is null and is not null; texts and times stand in quotes. What has no value meets != and is null only.")]
    public string? Filter { get; init; }

    /// <summary>What tells this list from others, for its cursors.</summary>
    public string Key => $"{StudyId} {string.Join(',', Status ?? [])} {Search?.Length} {Search} {Filter}";

    /// <param name="member">Where a request's body has these fields, what stands before their names.</param>
    public IQueryable<Experiment> Apply(IQueryable<Experiment> experiments, out ValidationProblem? problem, string member = "")
    {
        problem = null;
        var statuses = new HashSet<ExperimentStatus>();
        foreach (var word in Words(Status))
        {
            if (!StatusCounts.TryParse(word, out var parsed))
                problem = Problems.Invalid($"{member}status", $"There is no status \"{word}\"; there are {string.Join(", ", StatusCounts.Names)}.");
            statuses.Add(parsed);
        }

        if (statuses.Count > 0)
            experiments = experiments.Where(experiment => statuses.Contains(experiment.Status));
        if (StudyId is { } studyId)
            experiments = experiments.Where(experiment => experiment.StudyId == studyId);
        if (!string.IsNullOrWhiteSpace(Search))
        {
            if (Search.Length > MaxSearchLength || Search.Contains('\0', StringComparison.Ordinal))
                problem = Problems.Invalid($"{member}search", $"search is a text of at most {MaxSearchLength} characters.");
            experiments = Find(experiments, Search.Trim());
        }

        if (!string.IsNullOrWhiteSpace(Filter))
        {
            if (ExperimentFilter.Read(Filter, out var error) is { } condition)
                experiments = experiments.Where(condition);
            else
                problem = Problems.Invalid($"{member}filter", error!);
        }

        return experiments;
    }

    /// <summary>Each of them, where they are given several times or with commas between them.</summary>
    public static IEnumerable<string> Words(string[]? words) => (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.TrimEntries));

    private static IQueryable<Experiment> Find(IQueryable<Experiment> experiments, string text)
    {
        var lower = text.ToLowerInvariant();
        var number = int.TryParse(text.TrimStart('#'), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 0;
        var id = Guid.TryParse(text, out var parsed) ? parsed : Guid.Empty;
        // Translated into SQL, which has but one lower().
#pragma warning disable CA1304, CA1311, CA1862
        return experiments.Where(experiment =>
            experiment.Name.ToLower().Contains(lower) || experiment.Worker!.ToLower().Contains(lower) || experiment.Error!.ToLower().Contains(lower)
            || experiment.Number == number || experiment.Id == id);
#pragma warning restore CA1304, CA1311, CA1862
    }
}
