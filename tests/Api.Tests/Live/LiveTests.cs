using System.Diagnostics;
using System.Net;
using System.Net.ServerSentEvents;
using MlExperiments.Api.Tests.Infrastructure;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Live;

public sealed class LiveTests : LiveFixture
{
    protected override IEnumerable<KeyValuePair<string, string>> Settings => [new("Live:HeartbeatEvery", "00:00:00.2")];

    [Test]
    public async Task Model_Watched_TellsFirstOfWhatIsNotFinal()
    {
        var (model, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[0], 0.9);
        await AgeAsync(model);
        await Database.CompleteAsync(ids[1], 0.8);

        await using var stream = await WatchAsync($"/api/models/{model}/events");
        var events = await stream.WhenCaughtUpAsync();

        // The second was completed a moment ago, maybe after the list was read.
        Assert.That(events.Select(told => told.Id), Is.EquivalentTo(ids.Skip(1)));
        Assert.That(events.Select(told => told.Name), Is.All.EqualTo("experiment"));
        Assert.That(events.Single(told => told.Id == ids[1]).Status, Is.EqualTo("completed"));
        Assert.That(stream.Response.Content.Headers.ContentType?.ToString(), Is.EqualTo("text/event-stream"));
        Assert.That(stream.Response.Headers.CacheControl?.NoStore, Is.True);
        Assert.That(stream.Response.Headers.GetValues("X-Accel-Buffering"), Is.EqualTo(new[] { "no" }));
        var shown = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[2]}"));
        foreach (var member in events.Single(told => told.Id == ids[2]).Data.EnumerateObject().Where(member => shown.TryGetProperty(member.Name, out _)))
            Assert.That(member.Value.ToString(), Is.EqualTo(shown.GetProperty(member.Name).ToString()), member.Name);
    }

    [Test]
    public async Task Change_Committed_IsToldWithinHalfASecond()
    {
        var (_, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/experiments/{ids[0]}/events");
        await stream.WhenCaughtUpAsync();
        var times = new List<TimeSpan>();
        for (var round = 0; round < 9; round++)
        {
            await RenameAsync(ids[0], $"round {round}");
            var clock = Stopwatch.StartNew();
            await stream.FindAsync("the change", told => IsNamed(told, $"round {round}"));
            times.Add(clock.Elapsed);
        }

        Assert.That(times.Order().ElementAt(4), Is.LessThan(TimeSpan.FromMilliseconds(500)), string.Join(", ", times));
    }

    [Test]
    public async Task Training_GoingOn_IsToldOfItsOpenExperiments()
    {
        var (model, ids) = await GenerateAsync();
        var trajectory = await Database.ScalarAsync<Guid>("SELECT trajectory_id FROM experiments WHERE id = $1", ids[0]);
        await Database.ExecuteAsync("UPDATE experiments SET status = 'running', started_at = now(), worker = 'worker-1' WHERE trajectory_id = $1", trajectory);
        await Database.CompleteAsync(ids[0], 0.9);
        await AgeAsync(model);
        await using var stream = await WatchAsync($"/api/models/{model}/events");
        var before = (await stream.WhenCaughtUpAsync()).Count;

        await Database.ExecuteAsync(
            """
            WITH points AS (
                INSERT INTO metric_points (trajectory_id, name, step, value)
                SELECT $1, name, step, value + step / 1e6 FROM (VALUES ('loss', 0.3), ('accuracy', 0.8), ('validationLoss', 0.2), ('validationAccuracy', 0.9)) AS point (name, value),
                       (VALUES (1100), (1200), (9000)) AS steps (step))
            UPDATE trajectories SET step = 1200, steps_per_second = 40, loss = 0.5 WHERE id = $1
            """,
            trajectory);
        await stream.WhenAsync("both", events => events.Count >= before + 2);
        var told = stream.Events.Skip(before).ToList();

        // The completed one on the same trajectory has no part in it any more.
        Assert.That(told.Select(item => item.Id), Is.EquivalentTo(new[] { ids[1], ids[2] }));
        var last = told.Single(item => item.Id == ids[2]).Data;
        Assert.That(last.GetProperty("step").GetInt32(), Is.EqualTo(1200));
        Assert.That(last.GetProperty("stepsPerSecond").GetDouble(), Is.EqualTo(40));
        Assert.That(last.GetProperty("secondsLeft").GetDouble(), Is.EqualTo(70));
        Assert.That(told.Single(item => item.Id == ids[1]).Data.GetProperty("secondsLeft").GetDouble(), Is.EqualTo(20));
        Assert.That(last.GetProperty("trainLoss").GetDouble(), Is.EqualTo(0.3012).Within(1e-9), "the newest point up to the experiment's end");
        Assert.That(last.GetProperty("trainAccuracy").GetDouble(), Is.EqualTo(0.8012).Within(1e-9));
        Assert.That(last.GetProperty("validationLoss").GetDouble(), Is.EqualTo(0.2012).Within(1e-9));
        Assert.That(last.GetProperty("validationAccuracy").GetDouble(), Is.EqualTo(0.9012).Within(1e-9));
    }

    [Test]
    public async Task Lease_Renewed_IsNoNews()
    {
        var (model, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/models/{model}/events");
        var before = (await stream.WhenCaughtUpAsync()).Count;

        await Database.ExecuteAsync("UPDATE trajectories SET priority = 1 WHERE model_id = $1", model);
        await RenameAsync(ids[5], "after");
        await stream.FindAsync("what came after", told => IsNamed(told, "after"));

        Assert.That(stream.Events, Has.Count.EqualTo(before + 1));
    }

    [Test]
    public async Task Streams_OfDifferentScopes_TellOnlyTheirs()
    {
        var (first, ofFirst) = await GenerateAsync();
        var (second, ofSecond) = await GenerateAsync();
        await using var one = await WatchAsync($"/api/experiments/{ofFirst[0]}/events");
        await using var model = await WatchAsync($"/api/models/{first}/events");
        await using var all = await WatchAsync("/api/events");
        await Task.WhenAll(one.WhenCaughtUpAsync(), model.WhenCaughtUpAsync(), all.WhenCaughtUpAsync());

        foreach (var (id, name) in new[] { (ofSecond[0], "x"), (ofFirst[1], "y"), (ofFirst[0], "z") })
        {
            await RenameAsync(id, name);
            await all.FindAsync("the change", told => IsNamed(told, name));
        }

        await model.FindAsync("its last change", told => IsNamed(told, "z"));
        await one.FindAsync("its last change", told => IsNamed(told, "z"));
        Assert.That(model.Events.Select(told => told.Data.GetProperty("modelId").GetGuid()), Is.All.EqualTo(first));
        Assert.That(model.Events, Has.Some.Matches<ServerSentEvent>(told => IsNamed(told, "y")));
        Assert.That(one.Events.Select(told => told.Id), Is.EqualTo(new[] { ofFirst[0], ofFirst[0] }));
        Assert.That(all.Events.Where(told => told.Name == "experiment").Select(told => told.Id), Is.SupersetOf(ofFirst.Concat(ofSecond)));
        Assert.That(second, Is.Not.EqualTo(first));
    }

    [Test]
    public async Task Silence_Long_IsBrokenByHeartbeats()
    {
        var (_, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/experiments/{ids[0]}/events");

        await stream.WhenAsync("three heartbeats", _ => stream.Comments.Count(comment => comment == "ping") >= 3);

        Assert.That(stream.Events, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Stream_ReadByAnotherParser_SaysTheSame()
    {
        var (model, _) = await GenerateAsync();
        using var response = await Client.GetAsync($"/api/models/{model}/events", HttpCompletionOption.ResponseHeadersRead);
        var parser = SseParser.Create(await response.Content.ReadAsStreamAsync());
        var names = new List<string>();
        await foreach (var item in parser.EnumerateAsync())
        {
            names.Add(item.EventType);
            if (names.Count == 27)
                break;
        }

        Assert.That(names, Is.All.EqualTo("experiment"));
        Assert.That(parser.ReconnectionInterval, Is.EqualTo(TimeSpan.FromSeconds(2)));
        Assert.That(parser.LastEventId, Does.Match("^[0-9]{16}$"));
    }

    [Test]
    public async Task Stream_ForWhomTakesPacked_IsNotHeldBack()
    {
        var (_, ids) = await GenerateAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/experiments/{ids[0]}/events");
        request.Headers.AcceptEncoding.ParseAdd("gzip, br");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(deadline.Token));

        Assert.That(await reader.ReadLineAsync(deadline.Token), Is.EqualTo("retry: 2000"));
        Assert.That(response.Content.Headers.ContentEncoding, Is.Empty);
    }

    [Test]
    public async Task Head_OfAStream_EndsAtOnce()
    {
        var (_, ids) = await GenerateAsync();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));

        using var head = await Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"/api/experiments/{ids[0]}/events"), deadline.Token);
        using var again = await Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"/api/experiments/{Guid.NewGuid()}/events"), deadline.Token);

        Assert.That(head.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(head.Content.Headers.ContentType?.MediaType, Is.EqualTo("text/event-stream"));
        Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task Watch_OfNothing_Gives404()
    {
        await ProblemAsync(await Client.GetAsync($"/api/models/{Guid.NewGuid()}/events"), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.GetAsync($"/api/experiments/{Guid.NewGuid()}/events"), HttpStatusCode.NotFound);
    }

    [TestCase("x")]
    [TestCase("-1")]
    [TestCase("1.5")]
    [TestCase("99999999999999999999")]
    [TestCase("999999999999999999")]
    public async Task Watch_FromWhatIsNoId_NamesIt(string id)
    {
        await InvalidAsync(await Client.GetAsync($"/api/events?lastEventId={id}"), "lastEventId");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/events");
        request.Headers.Add("Last-Event-ID", id);
        await InvalidAsync(await Client.SendAsync(request), "last-event-id");
    }

    [Test]
    public async Task Model_Deleted_EndsItsStreamsWithThat()
    {
        var (model, ids) = await GenerateAsync();
        await using var all = await WatchAsync("/api/events");
        await using var own = await WatchAsync($"/api/models/{model}/events");
        await using var one = await WatchAsync($"/api/experiments/{ids[0]}/events");
        await Task.WhenAll(all.WhenCaughtUpAsync(), own.WhenCaughtUpAsync(), one.WhenCaughtUpAsync());

        await Database.ExecuteAsync("DELETE FROM experiments WHERE id = $1", ids[3]);
        var experiment = await own.FindAsync("the experiment's end", told => told.Name == "deleted");
        await Client.DeleteAsync($"/api/models/{model}");

        await all.FindAsync("the model's end", told => told.Name == "deleted" && told.Id == model);
        await Task.WhenAll(own.Ended, one.Ended).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That(experiment.Data.ToString(), Is.EqualTo($$"""{"id":"{{ids[3]}}","kind":"experiment","modelId":"{{model}}"}"""));
        foreach (var stream in new[] { own, one })
            Assert.That(stream.Events[^1].Data.ToString(), Is.EqualTo($$"""{"id":"{{model}}","kind":"model","modelId":"{{model}}"}"""));
        Assert.That(all.Events.Count(told => told.Name == "deleted" && told.Data.GetProperty("modelId").GetGuid() == model), Is.EqualTo(2), "a model stands for all that it had");
    }

    [Test]
    public async Task Experiments_MadeTenThousandAtOnce_AreOneNotification()
    {
        var (model, ids) = await GenerateAsync();
        await using var listening = await Database.DataSource.OpenConnectionAsync();
        var heard = new List<string>();
        listening.Notification += (_, notification) => heard.Add(notification.Payload);
        await using (var listen = new NpgsqlCommand("LISTEN experiments_changed", listening))
            await listen.ExecuteNonQueryAsync();

        await CopyAsync(ids[0], 10_000);
        await listening.WaitAsync(TimeSpan.FromSeconds(10));
        await using (var end = new NpgsqlCommand("SELECT", listening))
            await end.ExecuteNonQueryAsync();

        await Client.DeleteAsync($"/api/models/{model}");
        Assert.That(heard, Is.EqualTo(new[] { $"{model}" }));
    }

    [Test]
    public async Task Example_OfTheStream_IsWhatTheSchemaSays()
    {
        var document = await JsonAsync(await Client.GetAsync("/swagger/v1/swagger.json"));
        foreach (var path in new[] { "/api/events", "/api/models/{id}/events", "/api/experiments/{id}/events" })
        {
            var media = document.GetProperty("paths").GetProperty(path).GetProperty("get").GetProperty("responses").GetProperty("200").GetProperty("content").GetProperty("text/event-stream");
            using var example = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(media.GetProperty("example").GetString()!));
            var items = SseParser.Create(example).Enumerate().ToList();
            Assert.That(items.Select(item => item.EventType), Is.EqualTo(new[] { "experiment" }));
            using var data = System.Text.Json.JsonDocument.Parse(items[0].Data);
            Assert.That(Schemas.Find(document, document.GetProperty("components").GetProperty("schemas").GetProperty("LiveExperiment"), data.RootElement, "$"), Is.Null);
        }
    }
}
