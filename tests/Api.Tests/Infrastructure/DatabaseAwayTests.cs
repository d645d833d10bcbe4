using System.Net;
using Npgsql;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class DatabaseAwayTests : ApiFixture
{
    [Test]
    public async Task Call_WithoutTheDatabase_Gives503AndRecovers()
    {
        var name = new NpgsqlConnectionStringBuilder(Database.ConnectionString).Database;
        await OnServerAsync($"ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        await OnServerAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");

        var response = await Client.GetAsync("/api/models");
        await ProblemAsync(response, HttpStatusCode.ServiceUnavailable);
        Assert.That(response.Headers.RetryAfter?.Delta, Is.Not.Null);
        await ProblemAsync(await PostRawAsync("/api/models", """{"name": "a"}"""), HttpStatusCode.ServiceUnavailable);
        Assert.That((await Client.GetAsync("/health/live")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        var ready = await JsonAsync(await Client.GetAsync("/health/ready"));
        Assert.That(ready.GetProperty("checks")[0].GetProperty("status").GetString(), Is.EqualTo("failed"));

        await OnServerAsync($"ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        Assert.That((await Client.GetAsync("/api/models")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    private static async Task OnServerAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(Testing.TestDatabase.Server) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
