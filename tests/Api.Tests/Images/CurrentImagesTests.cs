using System.Net;
using System.Net.Http.Json;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Tests.Images;

/// <summary>Which data set version's best counts, as the images change.</summary>
public sealed class CurrentImagesTests : ApiFixture
{
    [Test]
    public async Task Best_OfImagesThatComeBack_ComesBack()
    {
        var model = await Database.ModelAsync();
        var first = await TrainAsync(model, 0.9);
        await AssertBestAsync(model, first, isCurrent: true);

        await RelabelAsync(model, "0", "zero");
        await AssertBestAsync(model, first, isCurrent: false);

        var second = await TrainAsync(model, 0.7);
        await AssertBestAsync(model, second, isCurrent: true);

        await RelabelAsync(model, "zero", "0");
        await AssertBestAsync(model, first, isCurrent: true);

        await RelabelAsync(model, "1", "one");
        await AssertBestAsync(model, second, isCurrent: false, "the newest that has one");
    }

    [Test]
    public async Task Best_OfImagesThatCantBeTrained_StaysTheNewest()
    {
        var model = await Database.ModelAsync();
        var first = await TrainAsync(model, 0.9);

        await Client.PatchAsJsonAsync($"/api/models/{model}/images", new { where = new { split = "train" }, label = "all" });
        await AssertBestAsync(model, first, isCurrent: false);
        await Client.PostAsJsonAsync($"/api/models/{model}/images/delete", new { where = new { label = "all" } });
        await AssertBestAsync(model, first, isCurrent: false);
        Assert.That(await Database.ScalarAsync<bool>("SELECT hashed_revision = images_revision AND data_set_hash IS NULL FROM models WHERE id = $1", model), "nothing to hash again");
    }

    [Test]
    public async Task List_WithoutAFreshHash_ShowsTheNewest()
    {
        var model = await Database.ModelAsync();
        var first = await TrainAsync(model, 0.9);
        await RelabelAsync(model, "0", "zero");
        var second = await TrainAsync(model, 0.7);

        await RelabelAsync(model, "zero", "0");
        Assert.That(await ListedAsync(model), Is.EqualTo(second));
        await Client.GetAsync($"/api/models/{model}/best");
        Assert.That(await ListedAsync(model), Is.EqualTo(first));
    }

    [Test]
    public async Task Hash_MadeWhileImagesChange_IsThatOfTheLatest()
    {
        var model = await Database.ModelAsync();
        await TrainAsync(model, 0.9);

        await Task.WhenAll(Enumerable.Range(0, 10).SelectMany(round => new[]
        {
            RelabelAsync(model, $"{round}", "x"),
            Client.GetAsync($"/api/models/{model}/best"),
        }));

        await RelabelAsync(model, "x", "y");
        await Client.GetAsync($"/api/models/{model}");
        Assert.That(await Database.ScalarAsync<bool>("SELECT hashed_revision = images_revision AND data_set_hash IS NULL FROM models WHERE id = $1", model), "one class is none to train on");
    }

    [Test]
    public async Task Prediction_AfterTheImagesCameBack_UsesTheirBest()
    {
        var model = await Database.ModelAsync();
        var first = await TrainAsync(model, 0.9);
        await RelabelAsync(model, "0", "zero");
        var second = await TrainAsync(model, 0.7);
        Assert.That(await PredictorAsync(), Is.EqualTo(second));
        await RelabelAsync(model, "zero", "0");
        Assert.That(await PredictorAsync(), Is.EqualTo(first));

        async Task<Guid> PredictorAsync()
        {
            using var form = new MultipartFormDataContent { { new ByteArrayContent(PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1))), "image", "x.png" } };
            var response = await Client.PostAsync($"/api/models/{model}/predictions?wait=0", form);
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
            return (await JsonAsync(response)).GetProperty("experimentId").GetGuid();
        }
    }

    private async Task<Guid> TrainAsync(Guid model, double accuracy)
    {
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        var id = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        await Database.CompleteAsync(id, accuracy);
        return id;
    }

    private async Task<HttpResponseMessage> RelabelAsync(Guid model, string from, string to)
    {
        var response = await Client.PatchAsJsonAsync($"/api/models/{model}/images", new { where = new { label = from }, label = to });
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        return response;
    }

    private async Task AssertBestAsync(Guid model, Guid experiment, bool isCurrent, string? why = null)
    {
        var best = await JsonAsync(await Client.GetAsync($"/api/models/{model}/best"));
        var detail = await JsonAsync(await Client.GetAsync($"/api/models/{model}"));
        var version = await JsonAsync(await Client.GetAsync($"/api/experiments/{experiment}"));
        Assert.That(best.GetProperty("experimentId").GetGuid(), Is.EqualTo(experiment), why);
        Assert.That(best.GetProperty("dataSetVersion").GetProperty("isCurrent").GetBoolean(), Is.EqualTo(isCurrent), why);
        Assert.That(best.GetProperty("dataSetVersion").GetProperty("id").GetGuid(), Is.EqualTo(version.GetProperty("dataSetVersionId").GetGuid()));
        Assert.That(detail.GetProperty("bestExperimentId").GetGuid(), Is.EqualTo(experiment), why);
        Assert.That(detail.GetProperty("bestDataSetVersion").ToString(), Is.EqualTo(best.GetProperty("dataSetVersion").ToString()));
    }

    private async Task<Guid> ListedAsync(Guid model) =>
        (await JsonAsync(await Client.GetAsync("/api/models?limit=500"))).GetProperty("items").EnumerateArray()
            .Single(item => item.GetProperty("id").GetGuid() == model).GetProperty("bestExperimentId").GetGuid();
}
