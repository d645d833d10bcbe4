using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests;

/// <summary>The service on a real port, over a fresh migrated database and an empty blob folder: one for each fixture that derives from this.</summary>
public abstract class ApiFixture
{
    private ApiHost? _host;

    /// <summary>For requests; its base address is the service's.</summary>
    protected HttpClient Client { get; private set; } = null!;

    /// <summary>The service's database, for rows that only a worker writes.</summary>
    protected TestDatabase Database { get; private set; } = null!;

    /// <summary>The running service's own parts.</summary>
    protected IServiceProvider Services => _host!.Services;

    /// <summary>Further configuration of the service under test.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string>> Settings => [];

    /// <summary>Further parts of the service under test, which replace its own.</summary>
    protected virtual void Replace(IServiceCollection services)
    {
    }

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        Database = await TestDatabase.CreateAsync();
        _host = new ApiHost(Database.ConnectionString, Settings, Replace);
        Client = _host.CreateClient();
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        Client?.Dispose();
        if (_host is not null)
            await _host.DisposeAsync();
        if (Database is not null)
            await Database.DisposeAsync();
    }

    /// <summary>Reads an answer's JSON, whatever its status.</summary>
    protected static async Task<JsonElement> JsonAsync(HttpResponseMessage response) => await response.Content.ReadFromJsonAsync<JsonElement>();

    /// <summary>Sends a body as it stands, for those that no serializer would write.</summary>
    protected Task<HttpResponseMessage> PostRawAsync(string path, string body, string mediaType = "application/json") =>
        Client.PostAsync(path, new StringContent(body, System.Text.Encoding.UTF8, mediaType));

    /// <summary>Asserts a problem+json answer and returns it.</summary>
    protected static async Task<JsonElement> ProblemAsync(HttpResponseMessage response, HttpStatusCode status)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.That(response.StatusCode, Is.EqualTo(status), body);
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"), body);
        var problem = JsonSerializer.Deserialize<JsonElement>(body);
        Assert.That(problem.GetProperty("status").GetInt32(), Is.EqualTo((int)status));
        // In words for people: nothing of how the program is made.
        Assert.That(problem.GetProperty("detail").GetString(), Is.Not.Null.And.Not.Empty.And.Not.Contain("MlExperiments").And.Not.Contain(" bind").And.Not.Contain("System."));
        return problem;
    }

    /// <summary>Asserts a 400 whose errors name exactly these fields.</summary>
    protected static async Task<JsonElement> InvalidAsync(HttpResponseMessage response, params string[] fields)
    {
        var problem = await ProblemAsync(response, HttpStatusCode.BadRequest);
        Assert.That(problem.GetProperty("errors").EnumerateObject().Select(error => error.Name), Is.EquivalentTo(fields), problem.ToString());
        return problem;
    }
}

/// <summary>Runs the service's own Program on Kestrel.</summary>
internal sealed class ApiHost : WebApplicationFactory<Program>
{
    private readonly string _connectionString;
    private readonly IEnumerable<KeyValuePair<string, string>> _settings;
    private readonly Action<IServiceCollection> _replace;
    private readonly string _blobs = Directory.CreateTempSubdirectory("mlexperiments-api-").FullName;

    public ApiHost(string connectionString, IEnumerable<KeyValuePair<string, string>> settings, Action<IServiceCollection> replace)
    {
        _replace = replace;
        _connectionString = connectionString;
        _settings = settings;
        UseKestrel(0);
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseEnvironment("Production");
        builder.UseSetting("Logging:LogLevel:Default", "Warning");
        builder.ConfigureServices(services => services.AddSingleton<ILoggerProvider, ErrorsToTestOutput>());
        builder.ConfigureServices(_replace);
        builder.UseSetting($"ConnectionStrings:{Shared.Data.Database.ConnectionName}", _connectionString);
        builder.UseSetting("Blobs:Folder", _blobs);
        foreach (var (key, value) in _settings)
            builder.UseSetting(key, value);
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_blobs, recursive: true);
    }
}

/// <summary>What the service logs as an error explains a failing test; it is written at once, whatever test runs.</summary>
internal sealed class ErrorsToTestOutput : ILoggerProvider, ILogger
{
    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
            TestContext.Progress.WriteLine($"{formatter(state, exception)} {exception?.Message}");
    }

    public void Dispose()
    {
    }
}
