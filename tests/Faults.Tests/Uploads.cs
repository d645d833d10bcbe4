using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>A client that uploads one zip after another, sends each again until it is acknowledged, and reads between times.</summary>
internal sealed class Uploads : IAsyncDisposable
{
    private const int PerDigit = 3;

    private readonly Stack _stack;
    private readonly string _modelId;
    private readonly CancellationTokenSource _ended = new();
    private readonly ConcurrentDictionary<HttpStatusCode, int> _statuses = new();
    private readonly HashSet<string> _hashes = [];
    private readonly Task _running;
    private volatile int _acknowledged;

    public Uploads(Stack stack, string modelId)
    {
        _stack = stack;
        _modelId = modelId;
        _running = Task.WhenAll(Task.Run(UploadAsync), Task.Run(ReadAsync));
    }

    /// <summary>Zips that were answered with 200.</summary>
    public int Acknowledged => _acknowledged;

    /// <summary>Every status that was answered, to uploads and reads; 0 where there was no answer.</summary>
    public ICollection<HttpStatusCode> Statuses => _statuses.Keys;

    public async Task StopAsync()
    {
        await _ended.CancelAsync();
        await _running;
    }

    /// <summary>The acknowledged images that are not there, or whose content is not what was sent.</summary>
    public async Task<List<string>> MissingAsync()
    {
        var missing = new HashSet<string>(_hashes);
        missing.ExceptWith(await HashesAsync(_stack, _modelId));
        return [.. missing];
    }

    /// <summary>The hashes of the model's images, found by reading the content of each.</summary>
    public static async Task<List<string>> HashesAsync(Stack stack, string modelId)
    {
        List<string> hashes = [];
        string? cursor = null;
        do
        {
            var page = await stack.GetAsync($"/api/models/{modelId}/images?limit=500{(cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}")}");
            foreach (var image in page.GetProperty("items").EnumerateArray())
            {
                var hash = Convert.ToHexStringLower(SHA256.HashData(await stack.Http.GetByteArrayAsync(image.GetProperty("content").GetString())));
                Assert.That(hash, Is.EqualTo(image.GetProperty("sha256").GetString()));
                hashes.Add(hash);
            }

            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);
        return hashes;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _ended.Dispose();
    }

    private async Task UploadAsync()
    {
        for (var zip = 0; !_ended.IsCancellationRequested; zip++)
        {
            var images = DrawnDigits.Images(PerDigit, first: zip * PerDigit).Select(image => Convert.ToHexStringLower(SHA256.HashData(image.Png))).ToList();
            while (!await TryAsync(() => _stack.UploadAsync(_modelId, DrawnDigits.Zip(PerDigit, first: zip * PerDigit))))
            {
                if (_ended.IsCancellationRequested)
                    return;
            }

            _hashes.UnionWith(images);
            _acknowledged++;
        }
    }

    private async Task ReadAsync()
    {
        while (!_ended.IsCancellationRequested)
            await TryAsync(() => _stack.GetAsync("/api/models?limit=5"));
    }

    private async Task<bool> TryAsync(Func<Task> call)
    {
        var status = HttpStatusCode.OK;
        try
        {
            await call();
        }
        catch (HttpRequestException refused)
        {
            // None where there was no answer at all.
            status = refused.StatusCode ?? 0;
        }

        _statuses.AddOrUpdate(status, 1, (_, count) => count + 1);
        await Faults.PauseAsync(TimeSpan.FromMilliseconds(50));
        return status == HttpStatusCode.OK;
    }
}
