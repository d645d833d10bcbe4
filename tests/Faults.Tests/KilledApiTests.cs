using System.Security.Cryptography;
using MlExperiments.Shared;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>An Api that dies while it takes in images.</summary>
[TestFixture]
public sealed class KilledApiTests
{
    private const int PerDigit = 30;

    private static readonly string[] FailPoints = ["pack.stored", "images.inserted"];

    private Stack _stack = null!;

    [SetUp]
    public async Task SetUp() => _stack = await Stack.StartAsync(slots: 1);

    [TearDown]
    public async Task TearDown() => await _stack.DisposeAsync();

    [Test]
    public async Task KilledApi_DuringUploads_LeavesNoRowWithoutItsBytes_AndARetryCompletesThem()
    {
        var random = Faults.NewRandom();
        var times = Faults.Times(5, 100);
        var modelId = await _stack.CreateModelAsync("uploads");
        HashSet<string> sent = [];
        for (var kill = 0; kill < times; kill++)
        {
            var first = kill * PerDigit;
            sent.UnionWith(DrawnDigits.Images(PerDigit, first).Select(image => Convert.ToHexStringLower(SHA256.HashData(image.Png))));
            if (kill < FailPoints.Length)
            {
                await _stack.RestartApiAsync((FailPoint.Variable, FailPoints[kill]));
                Assert.That(() => _stack.UploadAsync(modelId, DrawnDigits.Zip(PerDigit, first)), Throws.InstanceOf<HttpRequestException>());
            }
            else
            {
                var upload = _stack.UploadAsync(modelId, DrawnDigits.Zip(PerDigit, first));
                await Faults.PauseAsync(random.NextDouble() * TimeSpan.FromSeconds(0.5));
                await _stack.Api.KillAsync();
                // It may have been answered before.
                await Task.WhenAny(upload);
                _ = upload.Exception;
            }

            await _stack.RestartApiAsync();
            var again = await _stack.UploadAsync(modelId, DrawnDigits.Zip(PerDigit, first));
            Assert.That(again.GetProperty("accepted").GetInt32() + again.GetProperty("duplicates").GetInt32(), Is.EqualTo(10 * PerDigit));
        }

        // Reads all content: a row without its bytes would be no 200.
        var stored = await Uploads.HashesAsync(_stack, modelId);
        var orphans = await OrphansAsync();
        await TestContext.Out.WriteLineAsync($"Blobs that no row names: {string.Join(", ", orphans)}");
        Faults.Report("`kill -9` of the Api during uploads", times, sent.Except(stored).Count(), stored.Count - stored.Distinct().Count());
        Assert.Multiple(() =>
        {
            Assert.That(stored, Is.EquivalentTo(sent));
            Assert.That(orphans, Has.Count.LessThanOrEqualTo(times));
        });
    }

    /// <summary>What a sweep of the store would remove: nothing names it.</summary>
    private async Task<List<string>> OrphansAsync()
    {
        HashSet<string> named = [];
        await using var command = _stack.Database.DataSource.CreateCommand("SELECT blob_hash FROM packs");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            named.Add(reader.GetString(0));
        return [.. Directory.EnumerateFiles(_stack.BlobFolder, "*", SearchOption.AllDirectories).Select(file => Path.GetFileName(file)!).Where(name => !named.Contains(name))];
    }
}
