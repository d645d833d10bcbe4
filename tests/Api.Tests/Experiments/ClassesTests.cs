using System.Net;
using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Api.Tests.Experiments;

public sealed class ClassesTests : ApiFixture
{
    [Test]
    public async Task Classes_OfACompletedExperiment_AreTheMatrixTheSharesAndTheWorstImages()
    {
        var (model, ids) = await GenerateAsync(classes: 3);
        var hash = await ImageAsync(model);
        var gone = new string('b', 64);
        await Database.CompleteAsync(ids[0], 0.7);
        await Database.ClassesAsync(
            ids[0],
            new(
                [4, 2, 4], [4, 4, 2], [3, 2, 2],
                [new(2, 0, 1), new(0, 1, 1), new(2, 1, 1)],
                [new(11, 2, 0, 0.98, 0.01, hash), new(12, 0, 1, 0.9, 0.1, gone), new(13, 2, 1, 0.8, 0.1)]),
            new([1, 0, 0], [0, 1, 0], [0, 0, 0], [new(0, 1, 1)], [new(19, 0, 1, double.NaN, double.NaN, hash)]));

        var answer = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes?pairs=2"));
        var validation = answer.GetProperty("validation");
        Assert.Multiple(() =>
        {
            Assert.That(validation.GetProperty("images").GetInt32(), Is.EqualTo(10));
            Assert.That(validation.GetProperty("accuracy").GetDouble(), Is.EqualTo(0.7));
            Assert.That(validation.GetProperty("matrix").ToString(), Is.EqualTo("[[3,1,0],[0,2,0],[1,1,2]]"));
            Assert.That(
                validation.GetProperty("classes")[1].ToString(),
                Is.EqualTo("""{"label":"1","support":2,"predicted":4,"right":2,"precision":0.5,"recall":1,"f1":0.6666666666666666}"""));
            Assert.That(validation.GetProperty("macro").GetProperty("recall").GetDouble(), Is.EqualTo(0.75));
            Assert.That(
                validation.GetProperty("confusions").ToString(),
                Is.EqualTo("""[{"label":"2","predicted":"0","images":1},{"label":"0","predicted":"1","images":1}]"""), "as many pairs as were asked for");
        });
        var worst = validation.GetProperty("worst");
        Assert.That(worst.EnumerateArray().Select(image => image.GetProperty("sha256").GetString()), Is.EqualTo(new[] { hash, gone, null }));
        Assert.That(worst.EnumerateArray().Select(image => image.GetProperty("content").GetString()), Is.EqualTo(new[] { $"/api/images/{worst[0].GetProperty("imageId").GetGuid()}/content", null, null }), "removed images have no address");
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/images/{worst[0].GetProperty("imageId").GetGuid()}"))).GetProperty("sha256").GetString(), Is.EqualTo(hash));
        var test = answer.GetProperty("test");
        Assert.That(test.GetProperty("macro").GetProperty("f1").GetDouble(), Is.Zero);
        Assert.That(test.GetProperty("worst")[0].GetProperty("probability").ValueKind, Is.EqualTo(JsonValueKind.Null), "of a training that diverged");

        using var delete = await Client.DeleteAsync($"/api/images/{worst[0].GetProperty("imageId").GetGuid()}");
        var after = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes"));
        Assert.That(after.GetProperty("validation").GetProperty("worst")[0].GetProperty("content").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(after.GetProperty("validation").GetProperty("worst")[0].GetProperty("label").GetString(), Is.EqualTo("2"));
    }

    [Test]
    public async Task Classes_ThatAreNotThere_SayWhy()
    {
        var (_, ids) = await GenerateAsync();
        await Database.CompleteAsync(ids[0], 0.9);
        var old = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes"), HttpStatusCode.NotFound);
        Assert.That(old.GetProperty("detail").GetString(), Does.Contain("before they were kept").And.Contain("force"));
        var queued = await ProblemAsync(await Client.GetAsync($"/api/experiments/{ids[1]}/classes"), HttpStatusCode.Conflict);
        Assert.That(queued.GetProperty("detail").GetString(), Does.Contain("queued"));
        await ProblemAsync(await Client.GetAsync($"/api/experiments/{Guid.NewGuid()}/classes"), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.GetAsync("/api/experiments/seven/classes"), HttpStatusCode.NotFound);
        await InvalidAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes?pairs=-1"), "pairs");
        await InvalidAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes?pairs=many"), "pairs");
        await InvalidAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes?split=test"), "split");
    }

    [Test]
    public async Task Classes_OfAThousand_HaveNoMatrixButEveryShare()
    {
        const int classes = 1000;
        var (_, ids) = await GenerateAsync(images: 2000, classes);
        await Database.CompleteAsync(ids[0], 0.5);
        int[] ten = [.. Enumerable.Repeat(10, classes)];
        Confusion[] confusions = [.. Enumerable.Range(0, ClassMeasurement.MaxConfusions).Select(place => new Confusion(place % classes, (place + 1 + (place / classes)) % classes, 1))];
        await Database.ClassesAsync(ids[0], new(ten, ten, [.. Enumerable.Repeat(5, classes)], confusions, []));

        var validation = (await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}/classes"))).GetProperty("validation");
        Assert.That(validation.GetProperty("matrix").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(validation.GetProperty("classes").GetArrayLength(), Is.EqualTo(classes));
        Assert.That(validation.GetProperty("confusions").GetArrayLength(), Is.EqualTo(100));
        Assert.That(validation.GetProperty("macro").GetProperty("f1").GetDouble(), Is.EqualTo(0.5).Within(1e-12));
    }

    [Test]
    public async Task ImagesPerSecond_CountsTheImagesOfEveryEpoch_AndStudiesAddUpTheirSeconds()
    {
        var (model, ids) = await GenerateAsync();
        var train = await Database.ScalarAsync<int>("SELECT train_count FROM data_set_versions WHERE model_id = $1", model);
        await Database.CompleteAsync(ids[0], 0.9);
        await Database.CompleteAsync(ids[1], 0.9);
        await Database.CompleteAsync(ids[2], 0.9);
        await Database.ExecuteAsync("UPDATE experiments SET saved_seconds = 4 WHERE id = $1", ids[1]);
        await Database.ExecuteAsync("UPDATE experiments SET diverged = true WHERE id = $1", ids[2]);

        var experiment = await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}"));
        var (steps, seconds) = (experiment.GetProperty("totalSteps").GetInt32(), experiment.GetProperty("durationSeconds").GetDouble());
        // Step by step: each epoch's last batch is what is left.
        var perEpoch = (int)Math.Ceiling(train / 64.0);
        int Images(int count) => Enumerable.Range(0, count).Sum(step => Math.Min(64, train - (step % perEpoch * 64)));
        Assert.That(experiment.GetProperty("imagesPerSecond").GetDouble(), Is.EqualTo(Images(steps) / seconds).Within(0.05));
        await Database.ExecuteAsync("UPDATE experiments SET stopped_early = true, ended_at_step = 7 WHERE id = $1", ids[0]);
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[0]}"))).GetProperty("imagesPerSecond").GetDouble(), Is.EqualTo(Images(7) / seconds).Within(0.05));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[2]}"))).GetProperty("imagesPerSecond").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/experiments/{ids[3]}"))).GetProperty("imagesPerSecond").ValueKind, Is.EqualTo(JsonValueKind.Null));

        var study = await JsonAsync(await Client.GetAsync($"/api/studies/{experiment.GetProperty("studyId").GetGuid()}"));
        var durations = await Database.ScalarAsync<double>("SELECT sum(duration_seconds) FROM experiments WHERE model_id = $1", model);
        Assert.That(study.GetProperty("trainedSeconds").GetDouble(), Is.EqualTo(durations - 4).Within(0.05));
        Assert.That(study.GetProperty("savedSeconds").GetDouble(), Is.EqualTo(4));

        var (_, fresh) = await GenerateAsync();
        var id = (await JsonAsync(await Client.GetAsync($"/api/experiments/{fresh[0]}"))).GetProperty("studyId").GetGuid();
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/studies/{id}"))).GetProperty("trainedSeconds").GetDouble(), Is.Zero);
    }

    private async Task<(Guid Model, List<Guid> Experiments)> GenerateAsync(int images = 200, int classes = 10)
    {
        var model = await Database.ModelAsync(images, classes);
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        return (model, [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())]);
    }

    private Task<string> ImageAsync(Guid model) => Database.ScalarAsync<string>("SELECT encode(sha256, 'hex') FROM images WHERE model_id = $1 LIMIT 1", model);
}
