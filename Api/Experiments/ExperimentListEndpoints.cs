using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Experiments;

/// <summary>Lists experiments, of one model and across models.</summary>
internal static class ExperimentListEndpoints
{
    private const string Statuses = "Only experiments in these statuses: several times, or several with commas between them.";
    private const string Study = "Only experiments of this study.";
    private const string Orders = "order is asc or desc.";

    private const string Sorts =
        "name, status, accuracy, testAccuracy, loss, meanSquaredError, durationSeconds, savedSeconds, createdAt, startedAt, finishedAt, " +
        "or the name of a parameter. Experiments without a value come last.";

    private const string Example = "{\"items\": [{" + ExperimentsEndpoints.CompletedExample + "}], \"nextCursor\": null}";

    public static void MapExperimentLists(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Experiments");
        group.MapGet("/models/{id:guid}/experiments", ListExperiments)
            .WithSummary("Lists a model's experiments, filtered, and sorted by a result or a parameter")
            .WithDescription("Experiments that are equal in the order come by number. A cursor goes with its filters and its order.")
            .WithExamples(response: Example)
            .Fails(400, 404);
        group.MapGet("/experiments", ListAllExperiments)
            .WithSummary("Lists the experiments of all models, newest first unless sorted otherwise, and filtered")
            .WithDescription("Archived models' are among them. Those that are equal in what the list is sorted by come in the order in which they were made.")
            .WithExamples(response: Example)
            .Fails(400);
    }

    private static async Task<Results<Ok<Page<ExperimentResponse>>, ValidationProblem, ProblemHttpResult>> ListExperiments(
        Guid id,
        [AsParameters] PageQuery page,
        ExperimentsDbContext db,
        [Words(typeof(StatusCounts)), Description(Statuses)] string[]? status = null,
        [Description(Study)] Guid? studyId = null,
        [Words(typeof(ExperimentOrder)), Description("number (the default), " + Sorts)] string sort = "number",
        [Description("asc (the default) or desc."), AllowedValues("asc", "desc", ErrorMessage = Orders)] string order = "asc",
        CancellationToken cancellationToken = default)
    {
        var (found, problem) = await ListAsync(db, page, new([id], status, studyId, sort, order, AcrossModels: false), cancellationToken);
        if (found is { Items.Count: 0 } && !await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        return found is null ? problem! : TypedResults.Ok(found);
    }

    private static async Task<Results<Ok<Page<ExperimentResponse>>, ValidationProblem>> ListAllExperiments(
        [AsParameters] PageQuery page,
        ExperimentsDbContext db,
        [Description("Only experiments of these models, by id: several times, or several with commas between them.")] string[]? model = null,
        [Words(typeof(StatusCounts)), Description(Statuses)] string[]? status = null,
        [Description(Study)] Guid? studyId = null,
        [Words(typeof(ExperimentOrder)), Description("createdAt (the default), number, " + Sorts)] string sort = "createdAt",
        [Description("desc (the default) or asc."), AllowedValues("asc", "desc", ErrorMessage = Orders)] string order = "desc",
        CancellationToken cancellationToken = default)
    {
        var models = new HashSet<Guid>();
        foreach (var word in Words(model))
        {
            if (!Guid.TryParse(word, out var id))
                return Problems.Invalid("model", $"\"{word}\" is not an id (a UUID) of a model.");
            models.Add(id);
        }

        var (found, problem) = await ListAsync(
            db, page, new(models.Count == 0 ? null : [.. models.Order()], status, studyId, sort, order, AcrossModels: true), cancellationToken);
        return found is null ? problem! : TypedResults.Ok(found);
    }

    private static async Task<(Page<ExperimentResponse>? Page, ValidationProblem? Problem)> ListAsync(
        ExperimentsDbContext db, PageQuery page, Selection selection, CancellationToken cancellationToken)
    {
        var (models, status, studyId, sort, order, acrossModels) = selection;
        if (ExperimentOrder.Find(sort, order == "desc", acrossModels) is not { } sorting)
            return (null, Problems.Invalid("sort", $"There is no order by {sort}; there are {string.Join(", ", ExperimentOrder.Names)}."));
        var statuses = new HashSet<ExperimentStatus>();
        foreach (var word in Words(status))
        {
            if (!StatusCounts.TryParse(word, out var parsed))
                return (null, Problems.Invalid("status", $"There is no status \"{word}\"; there are {string.Join(", ", StatusCounts.Names)}."));
            statuses.Add(parsed);
        }

        var list = $"experiments {acrossModels} {string.Join(' ', models ?? [])} {sort} {order} {studyId} {string.Join(' ', statuses.Order())}";
        if (!Cursor.TryDecode<ExperimentPosition>(page, list, out var after, out var problem))
            return (null, problem);
        IQueryable<Experiment> experiments = db.Experiments;
        if (models is [var only])
            experiments = experiments.Where(experiment => experiment.ModelId == only);
        else if (models is not null)
            experiments = experiments.Where(experiment => models.Contains(experiment.ModelId));
        if (statuses.Count > 0)
            experiments = experiments.Where(experiment => statuses.Contains(experiment.Status));
        if (studyId is not null)
            experiments = experiments.Where(experiment => experiment.StudyId == studyId);
        var items = await sorting.Apply(experiments, after).Take(page.Size + 1).ToResponsesAsync(db, cancellationToken);
        return (Pages.Cut(items, page, list, sorting.PositionOf), null);
    }

    private static IEnumerable<string> Words(string[]? words) => (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.TrimEntries));

    /// <param name="Models">Null for all.</param>
    private sealed record Selection(Guid[]? Models, string[]? Status, Guid? StudyId, string Sort, string Order, bool AcrossModels);
}
