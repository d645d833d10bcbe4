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
    private const int MaxOffset = 10_000_000;

    private const string Orders = "order is asc or desc.";

    private const string Sorts =
        "name, tags, status, accuracy, testAccuracy, loss, meanSquaredError, durationSeconds, savedSeconds, createdAt, startedAt, finishedAt, priority, worker, error, " +
        "or the name of a parameter. Experiments without a value come last.";

    private const string Example = "{\"items\": [{" + ExperimentsEndpoints.CompletedExample + "}], \"nextCursor\": null}";

    private const string Counts =
        "{\"count\": 27, \"statuses\": {\"draft\": 0, \"queued\": 3, \"running\": 2, \"completed\": 22, \"paused\": 0, \"cancelled\": 0, \"failed\": 0, \"pruned\": 0}}";

    public static void MapExperimentLists(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Experiments");
        group.MapGet("/models/{id:guid}/experiments", ListExperiments)
            .WithSummary("Lists a model's experiments, filtered, and sorted by a result or a parameter")
            .WithDescription(
                "Experiments that are equal in the order come by number. A cursor goes with its filters and its order, and shifts nothing when experiments come and go; " +
                "offset jumps to any place of the list as it is at the moment.")
            .WithExamples(response: Example)
            .Fails(400, 404);
        group.MapGet("/models/{id:guid}/experiments.csv", DownloadExperiments)
            .WithSummary("The whole list as a CSV file, for spreadsheets and scripts")
            .WithDescription("Filtered and sorted as the list is, and not in pages. A text that a spreadsheet would take for a formula begins with an apostrophe.")
            .WithExamples()
            .Produces<string>(StatusCodes.Status200OK, ExperimentsCsv.MediaType)
            .Fails(400, 404);
        group.MapGet("/models/{id:guid}/experiments/summary", CountExperiments)
            .WithSummary("Counts a model's experiments by status, filtered as the list is")
            .WithExamples(response: Counts)
            .WithDescription("For the length of a list, and the totals above it.")
            .Fails(400, 404);
        group.MapGet("/experiments/summary", CountAllExperiments)
            .WithSummary("Counts the experiments of all models by status, filtered as the list is")
            .WithDescription("How much waits, and how much runs.")
            .WithExamples(response: Counts)
            .Fails(400);
        group.MapGet("/experiments", ListAllExperiments)
            .WithSummary("Lists the experiments of all models, newest first unless sorted otherwise, and filtered")
            .WithDescription("Archived models' are among them. Those that are equal in what the list is sorted by come in the order in which they were made.")
            .WithExamples(response: Example)
            .Fails(400);
    }

    private static async Task<Results<Ok<ExperimentCounts>, ValidationProblem>> CountAllExperiments(
        [AsParameters] ExperimentQuery query, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var experiments = query.Apply(db.Experiments, out var problem);
        if (problem is not null)
            return problem;
        var statuses = await StatusCounts.ReadAsync(experiments, cancellationToken);
        return TypedResults.Ok(new ExperimentCounts(statuses.Values.Sum(), StatusCounts.All(statuses)));
    }

    private static async Task<Results<Ok<Page<ExperimentResponse>>, ValidationProblem, ProblemHttpResult>> ListExperiments(
        Guid id,
        [AsParameters] PageQuery page,
        [AsParameters] ExperimentQuery query,
        ExperimentsDbContext db,
        [Words(typeof(ExperimentOrder)), Description("number (the default), " + Sorts)] string sort = "number",
        [Description("asc (the default) or desc."), AllowedValues("asc", "desc", ErrorMessage = Orders)] string order = "asc",
        [Description("How many experiments to leave out before the first, 0 to 10,000,000; without a cursor."), Range(0, MaxOffset, ErrorMessage = "offset is 0 to 10000000.")] int offset = 0,
        CancellationToken cancellationToken = default)
    {
        if (offset > 0 && !string.IsNullOrEmpty(page.Cursor))
            return Problems.Invalid("offset", "A cursor has its place already: give offset or cursor.");
        var (found, problem) = await ListAsync(db, page, new([id], query, sort, order, AcrossModels: false, offset), cancellationToken);
        if (found is { Items.Count: 0 } && !await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        return found is null ? problem! : TypedResults.Ok(found);
    }

    private static async Task<Results<PushStreamHttpResult, ValidationProblem, ProblemHttpResult>> DownloadExperiments(
        Guid id,
        [AsParameters] ExperimentQuery query,
        ExperimentsDbContext db,
        [Words(typeof(ExperimentOrder)), Description("number (the default), " + Sorts)] string sort = "number",
        [Description("asc (the default) or desc."), AllowedValues("asc", "desc", ErrorMessage = Orders)] string order = "asc",
        CancellationToken cancellationToken = default)
    {
        if (ExperimentOrder.Find(sort, order == "desc", acrossModels: false) is not { } sorting)
            return Problems.Invalid("sort", $"There is no order by {sort}; there are {string.Join(", ", ExperimentOrder.Names)}.");
        var experiments = query.Apply(OfModels(db, [id]), out var problem);
        if (problem is not null)
            return problem;
        if (!await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
            return Problems.NotFound("model", id);
        return TypedResults.Stream(stream => ExperimentsCsv.WriteAsync(db, experiments, sorting, stream, cancellationToken), ExperimentsCsv.MediaType, "experiments.csv");
    }

    private static async Task<Results<Ok<Page<ExperimentResponse>>, ValidationProblem>> ListAllExperiments(
        [AsParameters] PageQuery page,
        [AsParameters] ExperimentQuery query,
        ExperimentsDbContext db,
        [Description("Only experiments of these models, by id: several times, or several with commas between them.")] string[]? model = null,
        [Words(typeof(ExperimentOrder)), Description("createdAt (the default), number, " + Sorts)] string sort = "createdAt",
        [Description("desc (the default) or asc."), AllowedValues("asc", "desc", ErrorMessage = Orders)] string order = "desc",
        CancellationToken cancellationToken = default)
    {
        var models = new HashSet<Guid>();
        foreach (var word in ExperimentQuery.Words(model))
        {
            if (!Guid.TryParse(word, out var id))
                return Problems.Invalid("model", $"\"{word}\" is not an id (a UUID) of a model.");
            models.Add(id);
        }

        var (found, problem) = await ListAsync(
            db, page, new(models.Count == 0 ? null : [.. models.Order()], query, sort, order, AcrossModels: true), cancellationToken);
        return found is null ? problem! : TypedResults.Ok(found);
    }

    private static async Task<(Page<ExperimentResponse>? Page, ValidationProblem? Problem)> ListAsync(
        ExperimentsDbContext db, PageQuery page, Selection selection, CancellationToken cancellationToken)
    {
        var (models, query, sort, order, acrossModels, offset) = selection;
        if (ExperimentOrder.Find(sort, order == "desc", acrossModels) is not { } sorting)
            return (null, Problems.Invalid("sort", $"There is no order by {sort}; there are {string.Join(", ", ExperimentOrder.Names)}."));
        var experiments = query.Apply(OfModels(db, models), out var problem);
        var list = $"experiments {acrossModels} {string.Join(' ', models ?? [])} {sort} {order} {query.Key}";
        if (problem is not null || !Cursor.TryDecode<ExperimentPosition>(page, list, out var after, out problem))
            return (null, problem);
        var items = await sorting.Apply(experiments, after).Skip(offset).Take(page.Size + 1).ToResponsesAsync(db, cancellationToken);
        return (Pages.Cut(items, page, list, sorting.PositionOf), null);
    }

    private static IQueryable<Experiment> OfModels(ExperimentsDbContext db, Guid[]? models) => models switch
    {
        null => db.Experiments,
        [var only] => db.Experiments.Where(experiment => experiment.ModelId == only),
        _ => db.Experiments.Where(experiment => models.Contains(experiment.ModelId)),
    };

    private static async Task<Results<Ok<ExperimentCounts>, ValidationProblem, ProblemHttpResult>> CountExperiments(
        Guid id, [AsParameters] ExperimentQuery query, ExperimentsDbContext db, CancellationToken cancellationToken)
    {
        var experiments = query.Apply(OfModels(db, [id]), out var problem);
        if (problem is not null)
            return problem;
        var statuses = await StatusCounts.ReadAsync(experiments, cancellationToken);
        return statuses.Count > 0 || await db.Models.AnyAsync(model => model.Id == id, cancellationToken)
            ? TypedResults.Ok(new ExperimentCounts(statuses.Values.Sum(), StatusCounts.All(statuses)))
            : Problems.NotFound("model", id);
    }

    /// <param name="Models">Null for all.</param>
    private sealed record Selection(Guid[]? Models, ExperimentQuery Query, string Sort, string Order, bool AcrossModels, int Offset = 0);
}
