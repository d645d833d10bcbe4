using System.Net;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Studies;

/// <summary>Means and deviations over seeds, and the best by them.</summary>
public sealed class ResultsTests : ApiFixture
{
    [Test]
    public async Task Results_OfReplicates_AreMeansAndDeviations_BestFirst()
    {
        var (model, study, experiments) = await GenerateAsync();
        // By learning rate: one lucky seed beside two bad ones, and three that are even.
        double[] accuracies = [0.99, 0.80, 0.82, 0.95, 0.96, 0.94];
        foreach (var (experiment, accuracy) in experiments.Zip(accuracies))
            await Database.CompleteAsync(experiment, accuracy);

        var lines = (await JsonAsync(await Client.GetAsync($"/api/studies/{study}/results"))).GetProperty("items").EnumerateArray().ToList();

        Assert.That(lines, Has.Count.EqualTo(2));
        Assert.Multiple(() =>
        {
            Assert.That(lines[0].GetProperty("parameters").GetProperty("learningRate").GetDouble(), Is.EqualTo(0.2));
            Assert.That(lines[0].GetProperty("parameters").TryGetProperty("seed", out _), Is.False);
            Assert.That(lines[0].GetProperty("experiments").GetInt32(), Is.EqualTo(3));
            Assert.That(lines[0].GetProperty("seeds").GetInt32(), Is.EqualTo(3));
            Assert.That(lines[0].GetProperty("meanAccuracy").GetDouble(), Is.EqualTo(0.95).Within(1e-12));
            Assert.That(lines[0].GetProperty("standardDeviation").GetDouble(), Is.EqualTo(0.01).Within(1e-12));
            Assert.That(lines[0].GetProperty("lowestAccuracy").GetDouble(), Is.EqualTo(0.94));
            Assert.That(lines[0].GetProperty("mostAccurateId").GetGuid(), Is.EqualTo(experiments[4]));
            Assert.That(lines[1].GetProperty("meanAccuracy").GetDouble(), Is.EqualTo(0.87).Within(1e-12));
            Assert.That(lines[1].GetProperty("highestAccuracy").GetDouble(), Is.EqualTo(0.99));
        });

        var lucky = await JsonAsync(await Client.GetAsync($"/api/models/{model}/best"));
        var best = await JsonAsync(await Client.GetAsync($"/api/models/{model}/best?by=mean"));
        Assert.That(lucky.GetProperty("experimentId").GetGuid(), Is.EqualTo(experiments[0]));
        Assert.That(lucky.GetProperty("meanAccuracy").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(best.GetProperty("experimentId").GetGuid(), Is.EqualTo(experiments[4]));
        Assert.That(best.GetProperty("accuracy").GetDouble(), Is.EqualTo(0.96));
        Assert.That(best.GetProperty("seeds").GetInt32(), Is.EqualTo(3));
        Assert.That(best.GetProperty("meanAccuracy").GetDouble(), Is.EqualTo(0.95).Within(1e-12));
    }

    [Test]
    public async Task Results_BeforeTheEnd_CountWhatIsThere_AndReplicatesOfASeedOnce()
    {
        var (model, study, experiments) = await GenerateAsync();
        await Database.CompleteAsync(experiments[0], 0.9);
        var again = await JsonAsync(await PostRawAsync($"/api/studies/{study}/clone", """{"force": true}"""));
        await Database.CompleteAsync(again.GetProperty("experiments")[0].GetProperty("id").GetGuid(), 0.9);

        await ProblemAsync(await Client.GetAsync($"/api/models/{model}/best?by=mean"), HttpStatusCode.Conflict);
        var first = await JsonAsync(await Client.GetAsync($"/api/studies/{study}/results?limit=1"));
        var cursor = first.GetProperty("nextCursor").GetString();
        var second = await JsonAsync(await Client.GetAsync($"/api/studies/{study}/results?limit=1&cursor={cursor}"));

        Assert.That(first.GetProperty("items")[0].GetProperty("seeds").GetInt32(), Is.EqualTo(1));
        Assert.That(first.GetProperty("items")[0].GetProperty("meanAccuracy").GetDouble(), Is.EqualTo(0.9));
        Assert.That(first.GetProperty("items")[0].GetProperty("standardDeviation").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(second.GetProperty("items")[0].GetProperty("seeds").GetInt32(), Is.Zero);
        Assert.That(second.GetProperty("items")[0].GetProperty("meanAccuracy").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(second.GetProperty("nextCursor").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [TestCase(-1)]
    [TestCase(int.MaxValue)]
    public async Task Results_FromACursorThatSomebodyMade_AreRefused(int skip)
    {
        var (_, study, _) = await GenerateAsync();
        byte[] position = [.. System.Text.Encoding.UTF8.GetBytes($$"""{"Skip":{{skip}}}""")];
        byte[] sealedBy = [.. System.Security.Cryptography.SHA256.HashData([.. System.Text.Encoding.UTF8.GetBytes($"results {study}"), 0, .. position]).Take(6)];
        var cursor = System.Buffers.Text.Base64Url.EncodeToString([.. sealedBy, .. position]);

        await InvalidAsync(await Client.GetAsync($"/api/studies/{study}/results?cursor={cursor}"), "cursor");
    }

    [Test]
    public async Task Progress_CountsAMilestoneThatIsAheadOfWhatWasReported()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", """{"space": {"steps": [30, 40]}, "fixed": {"learningRate": 0.1, "layers": 1}}"""));
        await Database.CompleteAsync(study.GetProperty("experiments")[0].GetProperty("id").GetGuid(), 0.9);

        var detail = await JsonAsync(await Client.GetAsync($"/api/studies/{study.GetProperty("id").GetGuid()}"));

        Assert.That(detail.GetProperty("progress").GetDouble(), Is.EqualTo(0.75));
    }

    /// <summary>Two learning rates with three seeds each.</summary>
    private async Task<(Guid Model, Guid Study, List<Guid> Experiments)> GenerateAsync()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"replicates": 3, "space": {"learningRate": [0.1, 0.2]}, "fixed": {"layers": 1, "steps": 10}}"""));
        return (model, study.GetProperty("id").GetGuid(), [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())]);
    }
}
