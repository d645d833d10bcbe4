using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;

namespace MlExperiments.Testing;

/// <summary>The product as its users have it: a migrated database, an Api and a worker as processes, spoken to over HTTP.</summary>
public sealed class Stack : IAsyncDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly Dictionary<string, string?> _environment;
    private readonly List<ServiceProcess> _processes = [];

    private Stack(TestDatabase database, DirectoryInfo folder, Dictionary<string, string?> environment)
    {
        Database = database;
        _folder = folder;
        _environment = environment;
        Http = new HttpClient { BaseAddress = new Uri(environment["ASPNETCORE_URLS"]!), Timeout = TimeSpan.FromMinutes(5) };
        if (environment.GetValueOrDefault("Security__ApiKey") is { } key)
            Http.DefaultRequestHeaders.Add("X-Api-Key", key);
    }

    public TestDatabase Database { get; }
    public HttpClient Http { get; }
    public string BlobFolder => _environment["Blobs__Folder"]!;

    /// <summary>The one that was started last.</summary>
    public ServiceProcess Api { get; private set; } = null!;

    /// <summary>The one that was started last.</summary>
    public ServiceProcess Worker { get; private set; } = null!;

    /// <param name="database">Empty; a fresh one where null. The stack disposes of it.</param>
    /// <param name="settings">Environment variables of the programs, beside those that every stack has or in their place.</param>
    public static async Task<Stack> StartAsync(int slots = 2, TestDatabase? database = null, params (string Name, string Value)[] settings)
    {
        database ??= await TestDatabase.CreateEmptyAsync();
        var folder = Directory.CreateTempSubdirectory("mlexperiments-end-to-end-");
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__Database"] = database.ConnectionString,
            ["Blobs__Folder"] = Path.Combine(folder.FullName, "blobs"),
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{Ports.Free()}",
            ["Worker__Slots"] = $"{slots}",
        };
        foreach (var (name, value) in settings)
            environment[name] = value;
        await using (var migrate = ServiceProcess.Start("Api", environment, "migrate"))
        {
            if (await migrate.WaitAsync(TimeSpan.FromMinutes(1)) != 0)
                throw new InvalidOperationException($"The migration failed:\n{migrate.Output}");
        }

        var stack = new Stack(database, folder, environment);
        try
        {
            stack.StartApi();
            stack.StartWorker("worker");
            await stack.WhenReadyAsync();
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    /// <summary>Kills the Api, if it still runs, and starts it at the same address.</summary>
    public async Task RestartApiAsync(params (string Name, string Value)[] settings)
    {
        if (!Api.HasExited)
            await Api.KillAsync();
        StartApi(settings);
        await WhenReadyAsync();
    }

    public ServiceProcess StartWorker(string name, params (string Name, string Value)[] settings)
    {
        var worker = ServiceProcess.Start("Worker", With(
            [
                ("ConnectionStrings__Database", new NpgsqlConnectionStringBuilder(Database.ConnectionString) { ApplicationName = name }.ConnectionString),
                ("Worker__Name", name),
                ("Worker__Folder", Path.Combine(_folder.FullName, name)),
                .. settings,
            ]));
        _processes.Add(worker);
        Worker = worker;
        return worker;
    }

    public async Task<JsonElement> GetAsync(string path)
    {
        using var response = await Http.GetAsync(path);
        return await ReadAsync(response);
    }

    public async Task<JsonElement> PostAsync(string path, object? body = null)
    {
        using var response = await Http.PostAsync(path, body is null ? null : JsonContent.Create(body));
        return await ReadAsync(response);
    }

    public async Task<JsonElement> PatchAsync(string path, object body)
    {
        using var response = await Http.PatchAsync(path, JsonContent.Create(body));
        return await ReadAsync(response);
    }

    public async Task<string> CreateModelAsync(string name) => (await PostAsync("/api/models", new { name })).GetProperty("id").GetString()!;

    public async Task<JsonElement> UploadAsync(string modelId, Stream zip)
    {
        using var form = new MultipartFormDataContent { { new StreamContent(zip), "files", "images.zip" } };
        using var response = await Http.PostAsync($"/api/models/{modelId}/images", form);
        return await ReadAsync(response);
    }

    public async Task<JsonElement> PredictAsync(string modelId, byte[] image)
    {
        using var content = new ByteArrayContent(image);
        content.Headers.ContentType = new MediaTypeHeaderValue("image/png");
        using var form = new MultipartFormDataContent { { content, "image", "image.png" } };
        using var response = await Http.PostAsync($"/api/models/{modelId}/predictions", form);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        return await ReadAsync(response);
    }

    /// <summary>All of a model's experiments.</summary>
    public async Task<List<JsonElement>> ExperimentsAsync(string modelId)
    {
        List<JsonElement> all = [];
        string? cursor = null;
        do
        {
            var page = await GetAsync($"/api/models/{modelId}/experiments?limit=500{(cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}")}");
            all.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);
        return all;
    }

    public Task<List<JsonElement>> WhenAllCompletedAsync(string modelId, TimeSpan within) =>
        Eventually.GetAsync(
            "all experiments to end",
            within,
            () => ExperimentsAsync(modelId),
            experiments => experiments.All(experiment => experiment.GetProperty("status").GetString() is "completed" or "failed"));

    public async Task<long> CountAsync(string sql)
    {
        await using var command = Database.DataSource.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var process in Enumerable.Reverse(_processes))
            await process.DisposeAsync();
        await Database.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private void StartApi(params (string Name, string Value)[] settings) => _processes.Add(Api = ServiceProcess.Start("Api", With(settings)));

    private Task WhenReadyAsync() => Eventually.IsTrueAsync("the service to be ready", TimeSpan.FromMinutes(1), IsReadyAsync);

    private Dictionary<string, string?> With((string Name, string Value)[] settings)
    {
        var environment = new Dictionary<string, string?>(_environment);
        foreach (var (name, value) in settings)
            environment[name] = value;
        return environment;
    }

    private async Task<bool> IsReadyAsync()
    {
        if (Api.HasExited)
            throw new InvalidOperationException($"The Api ended:\n{Api.Output}");
        try
        {
            using var response = await Http.GetAsync("/health/ready");
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode)
            throw new HttpRequestException($"{(int)response.StatusCode} from {response.RequestMessage?.RequestUri}: {text}", null, response.StatusCode);
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
