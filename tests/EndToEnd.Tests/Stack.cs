using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests;

/// <summary>The product as its users have it: a migrated database, an Api and a worker as processes, spoken to over HTTP.</summary>
internal sealed class Stack : IAsyncDisposable
{
    private readonly TestDatabase _database;
    private readonly DirectoryInfo _folder;
    private readonly List<ServiceProcess> _workers = [];

    private Stack(TestDatabase database, DirectoryInfo folder, ServiceProcess api, HttpClient http)
    {
        _database = database;
        _folder = folder;
        Api = api;
        Http = http;
    }

    public ServiceProcess Api { get; }
    public HttpClient Http { get; }

    public static async Task<Stack> StartAsync(int slots = 2)
    {
        var database = await TestDatabase.CreateEmptyAsync();
        var folder = Directory.CreateTempSubdirectory("mlexperiments-end-to-end-");
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__Database"] = database.ConnectionString,
            ["Blobs__Folder"] = Path.Combine(folder.FullName, "blobs"),
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{FreePort()}",
            ["Worker__Folder"] = Path.Combine(folder.FullName, "worker"),
            ["Worker__Slots"] = $"{slots}",
        };
        await using (var migrate = ServiceProcess.Start("Api", environment, "migrate"))
        {
            if (await migrate.WaitAsync(TimeSpan.FromMinutes(1)) != 0)
                throw new InvalidOperationException($"The migration failed:\n{migrate.Output}");
        }

        var api = ServiceProcess.Start("Api", environment);
        var http = new HttpClient { BaseAddress = new Uri(environment["ASPNETCORE_URLS"]!), Timeout = TimeSpan.FromMinutes(5) };
        var stack = new Stack(database, folder, api, http);
        stack._workers.Add(ServiceProcess.Start("Worker", environment));
        await Eventually.IsTrueAsync("the service to be ready", TimeSpan.FromMinutes(1), stack.IsReadyAsync);
        return stack;
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
        await using var command = _database.DataSource.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        await Api.DisposeAsync();
        await _database.DisposeAsync();
        _folder.Delete(recursive: true);
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

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
