using System.Text;
using System.Text.Json;

namespace MlExperiments.Testing;

/// <summary>One server-sent event as a client sees it.</summary>
/// <param name="LastEventId">What the client would come back with once it has it; null where nothing was said yet.</param>
public sealed record ServerSentEvent(string Name, JsonElement Data, string? LastEventId)
{
    public Guid Id => Data.GetProperty("id").GetGuid();

    public string? Status => Data.GetProperty("status").GetString();
}

/// <summary>Reads a stream of server-sent events by the HTML standard's rules, in the background, and keeps what it saw.</summary>
public sealed class EventStreamReader : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly HttpResponseMessage _response;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;
    private readonly List<ServerSentEvent> _events = [];
    private readonly List<string> _comments = [];
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _lastEventId;

    private EventStreamReader(HttpResponseMessage response)
    {
        _response = response;
        _reading = ReadAsync();
    }

    public HttpResponseMessage Response => _response;

    /// <summary>Completed when the stream has ended; it may have been broken off.</summary>
    public Task Ended => _reading;

    public string? LastEventId
    {
        get
        {
            lock (_events)
                return _lastEventId;
        }
    }

    public List<ServerSentEvent> Events
    {
        get
        {
            lock (_events)
                return [.. _events];
        }
    }

    public List<string> Comments
    {
        get
        {
            lock (_events)
                return [.. _comments];
        }
    }

    public static async Task<EventStreamReader> OpenAsync(HttpClient http, string path, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!response.IsSuccessStatusCode)
            throw new HttpRequestException($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}", null, response.StatusCode);
        return new EventStreamReader(response);
    }

    /// <summary>Waits until what was seen of the stream is as wanted.</summary>
    public async Task<List<ServerSentEvent>> WhenAsync(string what, Predicate<List<ServerSentEvent>> wanted, TimeSpan? within = null)
    {
        var patience = within ?? Patience;
        using var deadline = new CancellationTokenSource(patience);
        while (true)
        {
            Task news;
            List<ServerSentEvent> events;
            lock (_events)
                (news, events) = (_news.Task, [.. _events]);
            if (wanted(events))
                return events;
            if (_reading.IsCompleted || await Task.WhenAny(news, _reading, Task.Delay(Timeout.Infinite, deadline.Token)) is { IsCanceled: true })
                throw new AssertionException($"{(_reading.IsCompleted ? "The stream ended" : $"{patience.TotalSeconds:0} s")} without {what}. It had:\n{string.Join('\n', events.TakeLast(20))}");
        }
    }

    /// <summary>Waits for the first event that is as wanted.</summary>
    public async Task<ServerSentEvent> FindAsync(string what, Predicate<ServerSentEvent> wanted) =>
        (await WhenAsync(what, events => events.Exists(wanted))).Find(wanted)!;

    /// <summary>Waits until the stream has told what was there at the beginning.</summary>
    public async Task<List<ServerSentEvent>> WhenCaughtUpAsync()
    {
        await WhenAsync("an id", _ => LastEventId is not null);
        // The one that brought the id may be newer than what was looked at.
        return Events;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _response.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            using var reader = new StreamReader(await _response.Content.ReadAsStreamAsync(_stop.Token), Encoding.UTF8);
            var (name, data) = ("message", new List<string>());
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                lock (_events)
                {
                    if (line.Length > 0)
                    {
                        Read(line, ref name, data);
                        continue;
                    }

                    if (data.Count > 0)
                        _events.Add(new ServerSentEvent(name, JsonSerializer.Deserialize<JsonElement>(string.Join('\n', data)), _lastEventId));
                    (name, data) = ("message", []);
                    _news.TrySetResult();
                    _news = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException)
        {
            // Broken off, by the test or by the service.
        }
    }

    private void Read(string line, ref string name, List<string> data)
    {
        var colon = line.IndexOf(':', StringComparison.Ordinal);
        var value = colon < 0 ? "" : line[(colon + 1)..];
        value = value.StartsWith(' ') ? value[1..] : value;
        switch (colon < 0 ? line : line[..colon])
        {
            case "":
                _comments.Add(value);
                break;
            case "event":
                name = value;
                break;
            case "data":
                data.Add(value);
                break;
            case "id":
                _lastEventId = value;
                break;
        }
    }
}
