using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using MlExperiments.Api.Infrastructure;

namespace MlExperiments.Api.Live;

/// <summary>One answer of server-sent events, as the HTML standard has them.</summary>
internal sealed class EventStream(HttpContext context, LiveListener listener, LiveFeed feed, TimeSpan heartbeatEvery)
{
    public const string MediaType = "text/event-stream";

    /// <summary>Events that are taken at a time: what a slow reader has not got yet may still be replaced by newer states.</summary>
    private const int MostAtOnce = 20;

    private static readonly byte[] Hello = Encoding.UTF8.GetBytes("retry: 2000\n\n");
    private static readonly byte[] Ping = Encoding.UTF8.GetBytes(": ping\n");

    // What a client that comes back goes on from. Moved on only with the last event of those that belong to it.
    private DateTimeOffset? _position;
    private bool _isOver;

    public static void SetHeaders(HttpResponse response)
    {
        response.ContentType = MediaType;
        response.Headers.CacheControl = "no-store";
        // For nginx and its like, which collect answers otherwise.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>Sends what there is to catch up with, then what changes, until the client or the service ends it or its subject is deleted.</summary>
    /// <param name="since">The position of a client that comes back.</param>
    public async Task RunAsync(CatchUp catchUp, DateTimeOffset? since, CancellationToken cancellationToken)
    {
        context.Features.GetRequiredFeature<IHttpResponseBodyFeature>().DisableBuffering();
        SetHeaders(context.Response);
        _position = since;
        context.Response.BodyWriter.Write(Hello);
        await FlushAsync(cancellationToken);

        await CatchUpAsync(catchUp, cancellationToken);
        await SendAsync(isCaughtUp: true, ping: true, cancellationToken);
        while (!_isOver)
        {
            var isNews = await listener.WaitAsync(heartbeatEvery, cancellationToken);
            await SendAsync(isCaughtUp: true, ping: !isNews, cancellationToken);
        }
    }

    private async Task CatchUpAsync(CatchUp catchUp, CancellationToken cancellationToken)
    {
        if (catchUp.IsTooMuch)
            listener.Miss();
        try
        {
            foreach (var page in catchUp.Experiments.Chunk(LiveFeed.PageSize))
            {
                await SendAsync(isCaughtUp: false, ping: false, cancellationToken);
                listener.OfferOlder(await feed.ReadAsync(page, cancellationToken));
            }

            listener.OfferOlder(catchUp.Deletions.Select(LiveEvent.Of));
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            // A client that came back now would be refused and stay away for ever.
            listener.Miss();
        }
    }

    /// <summary>Sends all that is pending.</summary>
    /// <param name="ping">Whether to send something in any case.</param>
    private async Task SendAsync(bool isCaughtUp, bool ping, CancellationToken cancellationToken)
    {
        while (!_isOver)
        {
            var batch = listener.Take(MostAtOnce);
            List<LiveEvent> events = batch.HasMissed ? [LiveEvent.Resync, .. batch.Events] : [.. batch.Events];
            if (events.Count == 0 && !ping)
                return;
            foreach (var live in events.SkipLast(1))
                Write(live.Frame);
            if (isCaughtUp)
                _position = batch.Position ?? _position;
            Write(events.Count == 0 ? Ping : events[^1].Frame);
            await FlushAsync(cancellationToken);
            _isOver = batch.Events.Any(live => live.IsDeletion && listener.Scope.EndsWith(live.Id));
            ping = false;
        }
    }

    private void Write(byte[] frame)
    {
        var writer = context.Response.BodyWriter;
        writer.Write(frame);
        if (_position is { } position)
            writer.Write(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id: {EventId.Of(position)}\n")));
        writer.Write("\n"u8);
    }

    // Cancelled while the client doesn't read, it breaks the connection off: nobody waits for those.
    private async Task FlushAsync(CancellationToken cancellationToken) => await context.Response.BodyWriter.FlushAsync(cancellationToken);
}
