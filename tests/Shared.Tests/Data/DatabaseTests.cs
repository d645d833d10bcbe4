using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace MlExperiments.Shared.Tests.Data;

[TestFixture]
public sealed class DatabaseTests
{
    [TestCase("tcp_keepalives_idle", "15")]
    [TestCase("tcp_keepalives_interval", "5")]
    [TestCase("tcp_keepalives_count", "3")]
    [TestCase("tcp_user_timeout", "30000")]
    [TestCase("idle_in_transaction_session_timeout", "30s")]
    public async Task EveryConnection_LetsTheServerFindAClientThatVanished(string setting, string value)
    {
        var configuration = Configuration(TestDatabase.Server);
        await using var provider = new ServiceCollection().AddDatabase(configuration).BuildServiceProvider();
        await using var pooled = await provider.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        await using var own = await Database.ListenAsync(configuration, "some_channel", hear: null, CancellationToken.None);

        Assert.Multiple(async () =>
        {
            Assert.That(await ShowAsync(pooled, setting), Is.EqualTo(value));
            Assert.That(await ShowAsync(own, setting), Is.EqualTo(value));
        });
    }

    [Test]
    public async Task ConnectionString_WithOptionsOfItsOwn_KeepsThem()
    {
        await using var connection = Database.NewConnection(Configuration($"{TestDatabase.Server};Options=-c idle_in_transaction_session_timeout=1234"));
        await connection.OpenAsync();

        Assert.That(await ShowAsync(connection, "idle_in_transaction_session_timeout"), Is.EqualTo("1234ms"));
    }

    [Test]
    public void ConnectionString_OfAUnixSocket_HasNoSettingsOfTcp()
    {
        using var connection = Database.NewConnection(Configuration("Host=/var/run/postgresql;Username=postgres"));

        Assert.That(new NpgsqlConnectionStringBuilder(connection.ConnectionString).TcpKeepAliveTime, Is.Zero);
    }

    private static IConfiguration Configuration(string connectionString) =>
        new ConfigurationBuilder().AddInMemoryCollection([new($"ConnectionStrings:{Database.ConnectionName}", connectionString)]).Build();

    private static async Task<object?> ShowAsync(NpgsqlConnection connection, string setting)
    {
        await using var command = new NpgsqlCommand($"SHOW {setting}", connection);
        return await command.ExecuteScalarAsync();
    }
}
