using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Live;

/// <summary>Many streams, slow ones, and the end of all of them.</summary>
public sealed class LiveLimitsTests : LiveFixture
{
    private const int Most = 210;

    protected override IEnumerable<KeyValuePair<string, string>> Settings => [new("Live:MaxListeners", $"{Most}")];

    [Test]
    public async Task Streams_ByTheHundred_ShareOneConnection()
    {
        var (model, ids) = await GenerateAsync();
        var streams = await Task.WhenAll(Enumerable.Range(0, 200).Select(index => WatchAsync($"/api/experiments/{ids[index % 27]}/events")));
        await Task.WhenAll(streams.Select(stream => stream.WhenCaughtUpAsync()));

        await Database.ExecuteAsync("UPDATE experiments SET name = 'told' WHERE model_id = $1", model);
        await Task.WhenAll(streams.Select(stream => stream.FindAsync("the change", told => IsNamed(told, "told"))));
        var listening = await Database.ScalarAsync<long>("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN experiments_changed'");
        var connections = await Database.ScalarAsync<long>("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()");
        foreach (var stream in streams)
            await stream.DisposeAsync();

        Assert.That(listening, Is.EqualTo(1));
        // Two pools of 20 at most, the service's and the test's, and those that listen.
        Assert.That(connections, Is.LessThan(50));
        await FillAsync(ids[0]);
    }

    /// <summary>Places are free again once their streams are closed, and no more than there are.</summary>
    private async Task FillAsync(Guid experiment)
    {
        var path = $"/api/experiments/{experiment}/events";
        var streams = new List<EventStreamReader>();
        try
        {
            while (streams.Count < Most)
                streams.Add(await Eventually.GetAsync("a free place", TimeSpan.FromSeconds(20), () => TryWatchAsync(path), stream => stream is not null) ?? throw new UnreachableException());

            var refused = await Client.GetAsync(path);
            var problem = await ProblemAsync(refused, HttpStatusCode.TooManyRequests);
            Assert.That(refused.Headers.RetryAfter?.Delta, Is.Not.Null);
            Assert.That(problem.GetProperty("detail").GetString(), Does.Contain($"{Most}"));
        }
        finally
        {
            foreach (var stream in streams)
                await stream.DisposeAsync();
        }
    }

    private async Task<EventStreamReader?> TryWatchAsync(string path)
    {
        try
        {
            return await WatchAsync(path);
        }
        catch (HttpRequestException exception) when (exception.StatusCode == HttpStatusCode.TooManyRequests)
        {
            return null;
        }
    }

    [Test]
    public async Task Reader_ThatIsSlow_HoldsUpNobodyAndGetsTheNewestStates()
    {
        const int Count = 500, Rounds = 5;
        var (model, ids) = await GenerateAsync();
        await CopyAsync(ids[0], Count);
        await MakeLongAsync(model);
        await using var quick = await WatchAsync($"/api/models/{model}/events");
        using var slow = await AskAsync(Client.BaseAddress!, model);
        await quick.WhenCaughtUpAsync();

        for (var round = 0; round < Rounds; round++)
        {
            await Database.ExecuteAsync("UPDATE experiments SET name = $2 WHERE model_id = $1", model, $"round {round}");
            await quick.WhenAsync("everything", events => events.Count(told => IsNamed(told, $"round {round}")) >= Count + ids.Count);
        }

        var names = await ReadNamesAsync(slow, until: text => CountOf(text, $"\"round {Rounds - 1}\"") == Count + ids.Count);
        var sent = CountOf(names, "event: experiment");
        Assert.That(sent, Is.LessThan((Count + ids.Count) * Rounds), "states that were never read were replaced");
        Assert.That(names, Does.Not.Contain("event: resync"));
    }

    /// <summary>Events of 6 KB, so that a few thousand fill what the system buffers.</summary>
    private Task<int> MakeLongAsync(Guid model) => Database.ExecuteAsync("UPDATE experiments SET error = repeat('x', 5000) WHERE model_id = $1", model);

    /// <summary>Asks for a model's stream, and reads nothing of it.</summary>
    private static async Task<Socket> AskAsync(Uri service, Guid model)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await socket.ConnectAsync(service.Host, service.Port);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /api/models/{model}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        return socket;
    }

    private static async Task<string> ReadNamesAsync(Socket socket, Predicate<string> until)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var (text, buffer) = (new StringBuilder(), new byte[1 << 16]);
        while (true)
        {
            var length = await socket.ReceiveAsync(buffer, deadline.Token);
            Assert.That(length, Is.Positive, "the stream ended");
            text.Append(Encoding.ASCII.GetString(buffer, 0, length));
            if (socket.Available == 0 && until(text.ToString()))
                return text.ToString();
        }
    }

    private static int CountOf(string text, string part) => text.Split(part).Length - 1;

    [Test]
    public async Task Service_Stopped_EndsItsStreamsAtOnce()
    {
        var (model, ids) = await GenerateAsync();
        await CopyAsync(ids[0], 2000);
        await MakeLongAsync(model);
        var host = new ApiHost(Database.ConnectionString, [], _ => { });
        using var http = host.CreateClient();
        // Longer than what fits between the two.
        using var stuck = await AskAsync(http.BaseAddress!, model);
        await using var stream = await EventStreamReader.OpenAsync(http, $"/api/models/{model}/events");
        await stream.WhenCaughtUpAsync();

        var clock = Stopwatch.StartNew();
        await host.DisposeAsync();
        await stream.Ended.WaitAsync(TimeSpan.FromSeconds(10));

        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(3)));
    }
}
