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
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("damaged").And.Contain(blob));
    }

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
