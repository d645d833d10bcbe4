using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Shared.Blobs;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Experiments;

public sealed class WeightsTests : ApiFixture
{
    [Test]
    public async Task Weights_BeforeAndAfterCompletion_Give409ThenTheFile()
    {
        var ids = await GenerateAsync();
        await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/weights"), HttpStatusCode.Conflict);
        var blob = await Services.GetRequiredService<IBlobStore>().PutAsync(new MemoryStream([1, 2, 3]), CancellationToken.None);
        await Database.CompleteAsync(ids[0], 0.9, weights: blob.Hash);
        await Database.CompleteAsync(ids[1], 0.9);

        var response = await Client.GetAsync($"/api/experiments/{ids[0]}/weights");

        Assert.That(await response.Content.ReadAsByteArrayAsync(), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(response.Content.Headers.ContentDisposition?.FileName, Is.EqualTo("experiment-1.safetensors"));
        using var head = await Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"/api/experiments/{ids[0]}/weights"));
        Assert.That(head.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(head.Content.Headers.ContentLength, Is.EqualTo(3));
        Assert.That(head.Headers.ETag, Is.EqualTo(response.Headers.ETag));
        Assert.That(await head.Content.ReadAsByteArrayAsync(), Is.Empty);
        var problem = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[1]}/weights"), HttpStatusCode.Gone);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("backup"));
    }

    [Test]
    public async Task Weights_AsOnnx_AreAFileOfTheirOwnWithRangesAndATag()
    {
        var ids = await GenerateAsync();
        var path = $"/api/experiments/{ids[0]}/weights?format=onnx";
        await ProblemAsync(await Client.GetAsync(path), HttpStatusCode.Conflict);
        await CompleteAsync(ids[0], CnnWeights.Make());

        var response = await Client.GetAsync(path);

        var bytes = await response.Content.ReadAsByteArrayAsync();
        Assert.That(Encoding.Latin1.GetString(bytes), Does.Contain("ML Experiments").And.Contain("conv1.weight").And.Contain("probabilities").And.Contain($"{ids[0]}"));
        Assert.That(response.Content.Headers.ContentLength, Is.EqualTo(bytes.Length));
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/octet-stream"));
        Assert.That(response.Content.Headers.ContentDisposition?.FileName, Is.EqualTo("experiment-1.onnx"));
        Assert.That(response.Headers.ETag, Is.Not.EqualTo((await Client.GetAsync($"/api/experiments/{ids[0]}/weights")).Headers.ETag));

        using var range = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Range = new(100, 599), IfRange = new(response.Headers.ETag!) } };
        using var part = await Client.SendAsync(range);
        Assert.That(part.StatusCode, Is.EqualTo(HttpStatusCode.PartialContent));
        Assert.That(await part.Content.ReadAsByteArrayAsync(), Is.EqualTo(bytes[100..600]));
        using var again = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { IfNoneMatch = { response.Headers.ETag! } } };
        Assert.That((await Client.SendAsync(again)).StatusCode, Is.EqualTo(HttpStatusCode.NotModified));
    }

    [Test]
    public async Task Weights_AsOnnxOfAResidualNetwork_Gives400AndSaysWhatThereIs()
    {
        var ids = await GenerateAsync();
        await CompleteAsync(ids[0], CnnWeights.Make());
        await Database.ExecuteAsync("UPDATE experiments SET parameters = parameters || '{\"architecture\": \"resnet18\"}' WHERE id = $1", ids[0]);

        var problem = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/weights?format=onnx"), HttpStatusCode.BadRequest);

        Assert.That(problem.GetProperty("errors").GetProperty("format")[0].GetString(), Does.Contain("architecture cnn").And.Contain("resnet18").And.Contain("take safetensors"));
        Assert.That((await Client.GetAsync($"/api/experiments/{ids[0]}/weights?format=safetensors")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task Weights_AsOnnxOfDamagedOnes_Gives410AndNamesTheBlob()
    {
        var ids = await GenerateAsync();
        var blob = await CompleteAsync(ids[0], CnnWeights.Make()[..^1]);
        var problem = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/weights?format=onnx"), HttpStatusCode.Gone);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("damaged").And.Contain($"{blob} from a backup. The tensors take "));
    }

    [Test]
    public async Task Weights_AsOnnxWithoutTheirBlob_Give410()
    {
        var ids = await GenerateAsync();
        var blob = await CompleteAsync(ids[0], CnnWeights.Make());
        await Services.GetRequiredService<IBlobStore>().DeleteAsync(blob, CancellationToken.None);
        var problem = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/weights?format=onnx"), HttpStatusCode.Gone);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("backup").And.Not.Contain("damaged"));
    }

    [Test]
    public async Task Weights_AsOnnxInRanges_AreWholeUnlessTheTagIsTheirs()
    {
        var ids = await GenerateAsync();
        var blob = await CompleteAsync(ids[0], CnnWeights.Make());
        var path = $"/api/experiments/{ids[0]}/weights?format=onnx";
        using var whole = await Client.GetAsync(path);
        var bytes = await whole.Content.ReadAsByteArrayAsync();
        Assert.That(whole.Content.Headers.LastModified, Is.Null);

        Assert.That(await PartAsync("bytes=-300", null), Is.EqualTo((HttpStatusCode.PartialContent, bytes[^300..])));
        Assert.That(await PartAsync("bytes=100-599", $"{whole.Headers.ETag}"), Is.EqualTo((HttpStatusCode.PartialContent, bytes[100..600])));
        foreach (var other in new[] { "\"other\"", $"W/{whole.Headers.ETag}", "Sat, 01 Jan 2000 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT", "no tag" })
            Assert.That(await PartAsync("bytes=100-599", other), Is.EqualTo((HttpStatusCode.OK, bytes)), other);

        using var beyond = await SendAsync(HttpMethod.Get, path, ("Range", $"bytes={bytes.Length}-"));
        Assert.That(beyond.StatusCode, Is.EqualTo(HttpStatusCode.RequestedRangeNotSatisfiable));
        Assert.That(beyond.Content.Headers.ContentRange?.Length, Is.EqualTo(bytes.Length));
        await IsClosedAsync(blob);

        async Task<(HttpStatusCode, byte[])> PartAsync(string range, string? ifRange)
        {
            using var part = await SendAsync(HttpMethod.Get, path, ("Range", range), ("If-Range", ifRange));
            return (part.StatusCode, await part.Content.ReadAsByteArrayAsync());
        }
    }

    [TestCase("safetensors")]
    [TestCase("onnx")]
    public async Task Weights_ByHead_AreTheirHeadersWhateverTheRange(string format)
    {
        var ids = await GenerateAsync();
        var blob = await CompleteAsync(ids[0], CnnWeights.Make());
        var path = $"/api/experiments/{ids[0]}/weights?format={format}";
        using var whole = await Client.GetAsync(path);

        using var head = await SendAsync(HttpMethod.Head, path, ("Range", "bytes=100-599"));

        Assert.That(head.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(head.Headers.ETag, Is.EqualTo(whole.Headers.ETag).And.Not.Null);
        Assert.That($"{head.Content.Headers}", Is.EqualTo($"{whole.Content.Headers}").And.Contain("Content-Length: ").And.Not.Contain("Content-Range"));
        Assert.That(head.Headers.AcceptRanges, Is.EqualTo(new[] { "bytes" }));
        Assert.That(await head.Content.ReadAsByteArrayAsync(), Is.Empty);
        using var again = await SendAsync(HttpMethod.Head, path, ("If-None-Match", $"{whole.Headers.ETag}"));
        Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.NotModified));
        await IsClosedAsync(blob);
    }

    [Test]
    public async Task Weights_AsOnnxWhoseDownloadEndsEarly_AreClosed()
    {
        var ids = await GenerateAsync();
        using var folder = new TemporaryFolder();
        var weights = Path.Combine(folder.Path, "weights.safetensors");
        // More than lies between the service and somebody who doesn't read.
        CnnWeights.Write(weights, new() { LearningRate = 0.001, Layers = 1, Filters = 2, DenseUnits = 512 }, new(224, 224, 1));
        var blob = await CompleteAsync(ids[0], await File.ReadAllBytesAsync(weights));
        var path = $"/api/experiments/{ids[0]}/weights?format=onnx";

        using (var whole = await Client.GetAsync(path, HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.That(CountOpen(blob), Is.EqualTo(1));
            using var again = await SendAsync(HttpMethod.Get, path, ("If-None-Match", $"{whole.Headers.ETag}"));
            Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.NotModified));
        }

        await IsClosedAsync(blob);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        foreach (var (name, value) in headers)
        {
            if (value is not null) request.Headers.TryAddWithoutValidation(name, value);
        }

        return await Client.SendAsync(request);
    }

    // The service runs in this process. It closes files when its answer is on the way.
    private static Task IsClosedAsync(string blob) => Eventually.IsTrueAsync("the file to be closed", TimeSpan.FromSeconds(10), () => Task.FromResult(CountOpen(blob) == 0));

    private static int CountOpen(string blob) =>
        Directory.EnumerateFiles("/proc/self/fd").Count(file => new FileInfo(file).LinkTarget?.Contains(blob, StringComparison.Ordinal) == true);

    private async Task<List<Guid>> GenerateAsync()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        return [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
    }

    private async Task<string> CompleteAsync(Guid experiment, byte[] weights)
    {
        var blob = await Services.GetRequiredService<IBlobStore>().PutAsync(new MemoryStream(weights), CancellationToken.None);
        await Database.CompleteAsync(experiment, 0.9, weights: blob.Hash);
        return blob.Hash;
    }
}
