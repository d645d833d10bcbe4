using System.Text.Json;

namespace MlExperiments.Api.Tests.Experiments;

/// <summary>What generating would come to, before it is done.</summary>
public sealed class PreviewTests : ApiFixture
{
    [Test]
    public async Task Preview_OfTheDefault_IsWhatGenerateThenMakes_AndMakesNothing()
    {
        var model = await Database.ModelAsync();

        var preview = await PreviewAsync(model, "{}");

        Assert.That(preview.ToString(), Does.StartWith("""{"experiments":27,"existing":0,"trajectories":9,"steps":36000,"""));
        Assert.That(preview.GetProperty("estimatedSeconds").ValueKind, Is.EqualTo(JsonValueKind.Null), "nothing was ever trained");
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM experiments WHERE model_id = $1", model), Is.Zero);
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM data_set_versions WHERE model_id = $1", model), Is.Zero);
    }

    [Test]
    public async Task Preview_OverWhatIsTrained_CountsTheRestOnly()
    {
        var model = await Database.ModelAsync();
        await Database.WorkerAsync("two slots", slots: 2);
        var study = await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments", """{"space": {"learningRate": [0.1, 0.2]}, "fixed": {"layers": 1, "steps": 100}}"""));
        var first = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        // A step of 64 images takes 10 ms.
        await Database.CompleteAsync(first, 0.9);
        await Database.ExecuteAsync(
            """
            INSERT INTO checkpoints (id, trajectory_id, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at)
            SELECT gen_random_uuid(), trajectory_id, 100, repeat('b', 64), 1, 1, 'TorchSharp', '1', 'cpu', now() FROM experiments WHERE id = $1
            """,
            first);
        const string More = """{"space": {"learningRate": [0.1, 0.2], "steps": [100, 500]}, "fixed": {"layers": 1}""";

        var preview = await PreviewAsync(model, More + "}");
        var forced = await PreviewAsync(model, More + """, "force": true}""");

        Assert.Multiple(() =>
        {
            // 400 steps go on from the checkpoint, 500 begin anew.
            Assert.That(preview.GetProperty("experiments").GetInt32(), Is.EqualTo(2));
            Assert.That(preview.GetProperty("existing").GetInt32(), Is.EqualTo(2));
            Assert.That(preview.GetProperty("trajectories").GetInt32(), Is.EqualTo(2));
            Assert.That(preview.GetProperty("steps").GetInt64(), Is.EqualTo(900));
            Assert.That(preview.GetProperty("slots").GetInt32(), Is.GreaterThanOrEqualTo(2));
            Assert.That(preview.GetProperty("estimatedSeconds").GetDouble(), Is.EqualTo(4.5).Within(1e-9));
            Assert.That(forced.GetProperty("experiments").GetInt32(), Is.EqualTo(4));
            Assert.That(forced.GetProperty("steps").GetInt64(), Is.EqualTo(1000));
        });
    }

    [TestCase("float32", 1000 * 0.01)]
    [TestCase("bfloat16", 1000 * 0.0025)]
    public async Task Preview_OfOnePrecision_GoesByItsOwnSpeed(string precision, double seconds)
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await PostRawAsync(
            $"/api/models/{model}/experiments", """{"space": {"precision": ["float32", "bfloat16"]}, "fixed": {"learningRate": 0.1, "layers": 2, "steps": 100}}"""));
        // A step takes 10 ms.
        foreach (var experiment in study.GetProperty("experiments").EnumerateArray())
            await Database.CompleteAsync(experiment.GetProperty("id").GetGuid(), 0.9);
        await Database.ExecuteAsync("UPDATE experiments SET duration_seconds = duration_seconds / 4 WHERE model_id = $1 AND parameters ->> 'precision' = 'bfloat16'", model);

        var preview = await PreviewAsync(model, $$$"""{"space": {}, "fixed": {"learningRate": 0.2, "layers": 2, "steps": 1000, "precision": "{{{precision}}}"}}""");

        Assert.That(preview.GetProperty("estimatedSeconds").GetDouble(), Is.EqualTo(seconds).Within(1e-9));
    }

    private async Task<JsonElement> PreviewAsync(Guid model, string body) =>
        await JsonAsync(await PostRawAsync($"/api/models/{model}/experiments/preview", body));
}
