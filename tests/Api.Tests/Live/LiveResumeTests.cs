using System.Globalization;
using MlExperiments.Api.Live;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Live;

/// <summary>Streams that come back, and writes that nobody was told of.</summary>
public sealed class LiveResumeTests : LiveFixture
{
    [Test]
    public async Task Stream_ThatComesBack_IsToldOfWhatChangedMeanwhile()
    {
        var (model, ids) = await GenerateAsync();
        var (_, others) = await GenerateAsync();
        string id;
        await using (var before = await WatchAsync($"/api/models/{model}/events"))
        {
            await before.WhenCaughtUpAsync();
            id = before.LastEventId!;
        }

        await Database.CompleteAsync(ids[0], 0.9);
        await RenameAsync(ids[1], "renamed");
        await RenameAsync(others[0], "elsewhere");
        await Database.ExecuteAsync("DELETE FROM experiments WHERE id = $1", ids[2]);

        await using var after = await WatchAsync($"/api/models/{model}/events", id);
        await using var first = await WatchAsync($"/api/models/{model}/events?lastEventId={id}");
        await using var newest = await EventStreamReader.OpenAsync(Client, $"/api/models/{model}/events?lastEventId=0", id);
        foreach (var stream in new[] { after, first, newest })
        {
            var events = await stream.WhenAsync("three events", events => events.Count >= 3);
            Assert.That(
                events.Select(told => $"{told.Name} {told.Id}"),
                Is.EquivalentTo(new[] { $"experiment {ids[0]}", $"experiment {ids[1]}", $"deleted {ids[2]}" }));
            Assert.That(events.Single(told => told.Id == ids[0]).Status, Is.EqualTo("completed"));
            Assert.That(long.Parse(stream.LastEventId!, CultureInfo.InvariantCulture), Is.GreaterThanOrEqualTo(long.Parse(id, CultureInfo.InvariantCulture)));
        }
    }

    [Test]
    public async Task Stream_ThatComesBack_IsToldOfWhatWasWrittenBeforeAndCommittedAfter()
    {
        var (model, ids) = await GenerateAsync();
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var late = new NpgsqlCommand("UPDATE experiments SET name = 'late' WHERE id = $1", connection) { Parameters = { new() { Value = ids[0] } } })
            await late.ExecuteNonQueryAsync();
        string id;
        await using (var before = await WatchAsync($"/api/models/{model}/events"))
        {
            await before.WhenCaughtUpAsync();
            await RenameAsync(ids[1], "early");
            id = (await before.FindAsync("the early one", told => IsNamed(told, "early"))).LastEventId!;
        }

        await transaction.CommitAsync();
        await using var after = await WatchAsync($"/api/models/{model}/events", id);

        await after.FindAsync("the late one", told => IsNamed(told, "late"));
    }

    [Test]
    public async Task Position_WhileATransactionWrites_IsNotLaterThanItsBeginning()
    {
        var (_, ids) = await GenerateAsync();
        await using var db = Database.NewContext();
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var write = new NpgsqlCommand("UPDATE experiments SET name = 'late' WHERE id = $1 RETURNING now()", connection) { Parameters = { new() { Value = ids[0] } } };
        var began = new DateTimeOffset((DateTime)(await write.ExecuteScalarAsync())!);

        var during = await LiveRows.PositionAsync(db, TimeSpan.Zero, CancellationToken.None);
        await transaction.CommitAsync();
        var after = await LiveRows.PositionAsync(db, TimeSpan.Zero, CancellationToken.None);

        Assert.That(during, Is.EqualTo(began));
        Assert.That(after, Is.GreaterThan(began));
    }

    [Test]
    public async Task Stream_BrokenOffInItsBeginning_ComesBackToAllOfIt()
    {
        var (model, ids) = await GenerateAsync();
        await CopyAsync(ids[0], 500);
        await AgeAsync(model);

        await using var stream = await WatchAsync($"/api/models/{model}/events");
        var events = await stream.WhenCaughtUpAsync();

        // Without an id until the last one, a client asks for everything again.
        Assert.That(events.Select(told => told.Id).Distinct().Count(), Is.EqualTo(527));
        Assert.That(events.SkipLast(1).Select(told => told.LastEventId), Is.All.Null);
    }

    [TestCase("since 5,001 changes")]
    [TestCase("for two days")]
    [TestCase("with the id of another database")]
    public async Task Stream_AwayForTooLong_IsSentToTheList(string away)
    {
        var (model, ids) = await GenerateAsync();
        var now = TimeProvider.System.GetUtcNow();
        if (away.StartsWith("since", StringComparison.Ordinal))
            await CopyAsync(ids[0], 5001);
        var id = away switch
        {
            "for two days" => now.AddDays(-2),
            "with the id of another database" => now.AddDays(2),
            _ => now.AddMinutes(-1),
        };

        await using var stream = await WatchAsync($"/api/models/{model}/events", $"{id.ToUnixTimeMilliseconds()}000");
        var events = await stream.WhenAsync("an event", events => events.Count > 0);
        await RenameAsync(ids[3], "live");
        await stream.FindAsync("the next change", told => IsNamed(told, "live"));

        Assert.That(events[0].Name, Is.EqualTo("resync"));
        Assert.That(events[0].Data.GetProperty("detail").GetString(), Does.Contain("list"));
        Assert.That(stream.Events, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Change_NobodyWasToldOf_IsFound()
    {
        var (model, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/models/{model}/events");
        await stream.WhenCaughtUpAsync();

        await SilentlyAsync($"UPDATE experiments SET name = 'silent', changed_at = clock_timestamp() WHERE id = '{ids[0]}'");

        await stream.FindAsync("the change", told => IsNamed(told, "silent"));
    }

    [Test]
    public async Task Listening_CutOff_BeginsAgain()
    {
        var (model, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/models/{model}/events");
        await stream.WhenCaughtUpAsync();
        var listening = await ListenersAsync();

        await Database.ExecuteAsync("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY($1)", listening);
        await RenameAsync(ids[0], "deaf");
        await stream.FindAsync("what changed meanwhile", told => IsNamed(told, "deaf"));
        var again = await Eventually.GetAsync("one that listens", TimeSpan.FromSeconds(10), ListenersAsync, pids => pids.Length == 1);
        await RenameAsync(ids[0], "hearing");
        await stream.FindAsync("what changed after", told => IsNamed(told, "hearing"));

        Assert.That(listening, Has.Length.EqualTo(1));
        Assert.That(again, Is.Not.EqualTo(listening));
    }

    private Task<int[]> ListenersAsync() => Database.ScalarAsync<int[]>(
        "SELECT COALESCE(array_agg(pid), '{}') FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN experiments_changed' AND pid <> pg_backend_pid()");
}

public sealed class LiveDatabaseAwayTests : LiveFixture
{
    [Test]
    public async Task Stream_WhileTheDatabaseIsAway_StaysAndGoesOn()
    {
        var (model, ids) = await GenerateAsync();
        await using var stream = await WatchAsync($"/api/models/{model}/events");
        await stream.WhenCaughtUpAsync();
        var name = new NpgsqlConnectionStringBuilder(Database.ConnectionString).Database;
        var server = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(TestDatabase.Server) { Pooling = false }.ConnectionString);
        await using (server)
        {
            // The session that writes is there before; nobody else comes in.
            await using var writer = await Database.DataSource.OpenConnectionAsync();
            await using (var close = server.CreateCommand($"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
                await close.ExecuteNonQueryAsync();
            await using (var cut = server.CreateCommand($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {writer.ProcessID}"))
                await cut.ExecuteNonQueryAsync();
            await using (var write = new NpgsqlCommand("UPDATE experiments SET name = 'meanwhile' WHERE id = $1", writer) { Parameters = { new() { Value = ids[0] } } })
                await write.ExecuteNonQueryAsync();
            Assert.That((await Client.GetAsync($"/api/models/{model}/events")).StatusCode, Is.EqualTo(System.Net.HttpStatusCode.ServiceUnavailable));
            Assert.That(stream.Ended.IsCompleted, Is.False);

            await using (var open = server.CreateCommand($"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
                await open.ExecuteNonQueryAsync();
        }

        await stream.FindAsync("what changed meanwhile", told => IsNamed(told, "meanwhile"));
    }
}
