using System.ComponentModel;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Live;

/// <summary>Experiments as they change, as server-sent events.</summary>
internal static class LiveEndpoints
{
    private const string Description =
        "Server-sent events, for EventSource, fetch and curl -N. `experiment`: an experiment as it is now (LiveExperiment), also while it trains, about once a second; " +
        "the latest state counts, states in between may be left out, and the same may come twice. `deleted`: an experiment or a model is gone (LiveDeletion). `resync`: too much has changed " +
        "to be told one by one (LiveResync): read the list again. A comment keeps a silent stream open. waitingFor is as of the event: it changes with the workers, too. ";

    private const string Beginning =
        "First come the experiments that are not final yet and those that changed within the last seconds, so that whoever reads the list and then connects misses nothing; more than " +
        "10,000 give `resync` instead. With an id, Last-Event-ID or lastEventId, it is everything that changed since, deletions too; more than 5,000, or more than a day, give `resync`.";

    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(10);

    public static IServiceCollection AddLive(this IServiceCollection services)
    {
        services.AddOptions<LiveOptions>().BindConfiguration(LiveOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        return services.AddSingleton<LiveFeed>().AddHostedService(provider => provider.GetRequiredService<LiveFeed>());
    }

    public static void MapLive(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Live");
        group.MapGet("/events", WatchAll)
            .WithSummary("Tells of every experiment as it changes")
            .WithDescription(Description + Beginning)
            .StreamsEvents()
            .Fails(400, 429);
        group.MapGet("/models/{id:guid}/events", WatchModel)
            .WithSummary("Tells of a model's experiments as they change")
            .WithDescription(Description + Beginning + " Ends when the model is deleted.")
            .StreamsEvents()
            .Fails(400, 404, 429);
        group.MapGet("/experiments/{id:guid}/events", WatchExperiment)
            .WithSummary("Tells of one experiment as it changes")
            .WithDescription(Description + "First comes the experiment, whatever its status. Ends when it is deleted.")
            .StreamsEvents()
            .Fails(400, 404, 429);
    }

    private static RouteHandlerBuilder StreamsEvents(this RouteHandlerBuilder builder) => builder
        .Produces<string>(StatusCodes.Status200OK, EventStream.MediaType)
        .WithMetadata(new EventStreamBody(LiveExample.Stream, [typeof(LiveExperiment), typeof(LiveDeletion), typeof(LiveResync)]))
        .WithExample(429, """{"title": "Too Many Requests", "status": 429, "detail": "1000 event streams are open already: close one, or try again in a few seconds."}""");

    private static Task<IResult> WatchAll([AsParameters] WatchRequest request, CancellationToken cancellationToken) =>
        WatchAsync(new LiveScope(null, null), request, cancellationToken);

    private static async Task<IResult> WatchModel(Guid id, [AsParameters] WatchRequest request, CancellationToken cancellationToken)
    {
        await using (var db = await request.Databases.CreateDbContextAsync(cancellationToken))
        {
            if (!await db.Models.AnyAsync(model => model.Id == id, cancellationToken))
                return Problems.NotFound("model", id);
        }

        return await WatchAsync(new LiveScope(id, null), request, cancellationToken);
    }

    private static async Task<IResult> WatchExperiment(Guid id, [AsParameters] WatchRequest request, CancellationToken cancellationToken)
    {
        Guid? modelId;
        await using (var db = await request.Databases.CreateDbContextAsync(cancellationToken))
            modelId = await db.Experiments.Where(experiment => experiment.Id == id).Select(experiment => (Guid?)experiment.ModelId).SingleOrDefaultAsync(cancellationToken);
        return modelId is null ? Problems.NotFound("experiment", id) : await WatchAsync(new LiveScope(modelId, id), request, cancellationToken);
    }

    private static async Task<IResult> WatchAsync(LiveScope scope, WatchRequest request, CancellationToken cancellationToken)
    {
        // The header is newer: EventSource comes back to the address that it was given at first.
        var (field, id) = string.IsNullOrEmpty(request.LastEventIdHeader) ? ("lastEventId", request.LastEventId) : ("last-event-id", request.LastEventIdHeader);
        DateTimeOffset? since = null;
        if (!string.IsNullOrEmpty(id))
        {
            if (!EventId.TryParse(id, out var position))
                return Problems.Invalid(field, $"This is not the id of an event, which is a number such as {EventId.Example}: leave it out to begin anew.");
            since = position;
        }

        var context = request.Context;
        if (context.IsHead())
        {
            EventStream.SetHeaders(context.Response);
            return TypedResults.Empty;
        }

        using var listener = await request.Feed.SubscribeAsync(scope, cancellationToken);
        if (listener is null)
            return Problems.TooMany(context, $"{request.Options.Value.MaxListeners} event streams are open already: close one, or try again in a few seconds.", TryAgain);
        CatchUp catchUp;
        await using (var db = await request.Databases.CreateDbContextAsync(cancellationToken))
            catchUp = await CatchUp.FindAsync(db, scope, listener.Position, since, cancellationToken);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, request.Lifetime.ApplicationStopping);
        try
        {
            await new EventStream(context, listener, request.Feed, request.Options.Value.HeartbeatEvery).RunAsync(catchUp, since, end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The client has gone, or the service stops: streams have no other end.
        }

        return TypedResults.Empty;
    }

    /// <summary>What every stream needs.</summary>
    private sealed class WatchRequest
    {
        [FromHeader(Name = "Last-Event-ID"), Description("The id of the last event that was received: EventSource sends it when it comes back.")]
        public string? LastEventIdHeader { get; init; }

        [FromQuery(Name = "lastEventId"), Description("The same for a first connection; the header comes before it.")]
        public string? LastEventId { get; init; }

        public required HttpContext Context { get; init; }
        public required LiveFeed Feed { get; init; }
        public required IDbContextFactory<ExperimentsDbContext> Databases { get; init; }
        public required IOptions<LiveOptions> Options { get; init; }
        public required IHostApplicationLifetime Lifetime { get; init; }
    }
}
