using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Tests.Predictions;

public sealed class PredictorTests : ApiFixture
{
    private Guid _model;
    private List<Guid> _ids = [];

    /// <summary>The first experiment is the best one, the next two are worse.</summary>
    [SetUp]
    public async Task CompleteThreeAsync()
    {
        _model = await Database.ModelAsync(classes: 3);
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{_model}/experiments", null));
        _ids = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
        await Database.CompleteAsync(_ids[0], 0.9);
        await Database.CompleteAsync(_ids[1], 0.8);
        await Database.CompleteAsync(_ids[2], 0.7);
    }

    [Test]
    public async Task Predictor_OfAModelWithoutResults_IsNobody()
    {
        var model = await Database.ModelAsync();

        var predictor = await GetAsync(model);

        Assert.That(predictor.ToString(), Is.EqualTo("""{"experimentId":null,"parameters":null,"accuracy":null,"chosen":false,"since":null,"history":[]}"""));
    }

    [Test]
    public async Task Predictor_NeverChosen_FollowsTheBest()
    {
        await AssertAsync(_ids[0], chosen: false, "");
        await Database.CompleteAsync(_ids[3], 0.95);

        await AssertAsync(_ids[3], chosen: false, "");
        Assert.That(await AnswererAsync(), Is.EqualTo(_ids[3]));
    }

    [Test]
    public async Task Predictor_Chosen_StaysWhateverIsBetter_AndAnswers()
    {
        var chosen = await ChooseAsync(_ids[2]);
        await Database.CompleteAsync(_ids[3], 0.95);
        await ChooseAsync(_ids[2]);

        await AssertAsync(_ids[2], chosen: true, "chosen 2");
        Assert.That(chosen.GetProperty("accuracy").GetDouble(), Is.EqualTo(0.7));
        Assert.That(chosen.GetProperty("parameters").GetProperty("steps").GetInt32(), Is.EqualTo(4000));
        Assert.That(chosen.GetProperty("since").GetDateTimeOffset(), Is.EqualTo(chosen.GetProperty("history")[0].GetProperty("at").GetDateTimeOffset()));
        Assert.That(await AnswererAsync(), Is.EqualTo(_ids[2]));
        Assert.That(await AnswererAsync(_ids[1]), Is.EqualTo(_ids[1]), "the one that is named");
        var model = await JsonAsync(await Client.GetAsync($"/api/models/{_model}"));
        Assert.That(model.GetProperty("predictorExperimentId").GetGuid(), Is.EqualTo(_ids[2]));
        Assert.That(model.GetProperty("bestExperimentId").GetGuid(), Is.EqualTo(_ids[3]));
    }

    [Test]
    public async Task Predictor_Deleted_FollowsTheBestAgain()
    {
        await ChooseAsync(_ids[2]);

        Assert.That((await Client.DeleteAsync(Path())).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await Client.DeleteAsync(Path())).StatusCode, Is.EqualTo(HttpStatusCode.NoContent));

        await AssertAsync(_ids[0], chosen: false, "followedBest null, chosen 2");
        Assert.That(await AnswererAsync(), Is.EqualTo(_ids[0]));
    }

    [Test]
    public async Task RollBack_AgainAndAgain_GoesFurtherBack_UntilNothingWasBefore()
    {
        await ChooseAsync(_ids[1]);
        await ChooseAsync(_ids[2]);
        await Client.DeleteAsync(Path());

        await RollBackAsync();
        await AssertAsync(_ids[2], chosen: true, "rolledBack 2, followedBest null, chosen 2, chosen 1");
        await RollBackAsync();
        await AssertAsync(_ids[1], chosen: true, "rolledBack 1, rolledBack 2, followedBest null, chosen 2, chosen 1");
        await ChooseAsync(_ids[0]);
        await RollBackAsync();
        await AssertAsync(_ids[1], chosen: true, "rolledBack 1, chosen 0, rolledBack 1, rolledBack 2, followedBest null, chosen 2, chosen 1");
        await RollBackAsync();
        await AssertAsync(_ids[0], chosen: false, "rolledBack null, rolledBack 1, chosen 0, rolledBack 1, rolledBack 2, followedBest null, chosen 2, chosen 1");
        var problem = await ProblemAsync(await Client.PostAsync(Path() + "/rollback", null), HttpStatusCode.Conflict);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("nothing to roll back to"));
    }

    [Test]
    public async Task RollBack_OfWhatWasNeverChosen_Gives409() =>
        await ProblemAsync(await Client.PostAsync(Path() + "/rollback", null), HttpStatusCode.Conflict);

    [Test]
    public async Task History_OfManyChanges_KeepsTheLatestHundred_AndRollsBackNoFurther()
    {
        for (var change = 0; change < 105; change++)
            await ChooseAsync(_ids[change % 2]);

        Assert.That((await GetAsync(_model)).GetProperty("history").GetArrayLength(), Is.EqualTo(100));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM predictor_choices WHERE model_id = $1", _model), Is.EqualTo(100));
        var rolledBack = 0;
        while ((await Client.PostAsync(Path() + "/rollback", null)).StatusCode == HttpStatusCode.OK)
            rolledBack++;
        Assert.That(rolledBack, Is.EqualTo(50), "each takes the place of the oldest one");
    }

    [Test]
    public async Task Choose_FromSeveralAtOnce_KeepsOneLine()
    {
        var responses = await Task.WhenAll(Enumerable.Range(0, 9).Select(change => Client.PutAsJsonAsync(Path(), new { experimentId = _ids[change % 3] })));

        Assert.That(responses.Select(response => response.StatusCode), Is.All.EqualTo(HttpStatusCode.OK));
        var numbers = await Database.ScalarAsync<int[]>("SELECT array_agg(number ORDER BY number) FROM predictor_choices WHERE model_id = $1", _model);
        Assert.That(numbers, Is.EqualTo(Enumerable.Range(1, numbers.Length)));
    }

    [Test]
    public async Task Choose_WhatCannotPredict_SaysWhy()
    {
        var other = await Database.ModelAsync();
        var elsewhere = await JsonAsync(await Client.PostAsync($"/api/models/{other}/experiments", null));
        var stranger = elsewhere.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        await Database.CompleteAsync(stranger, 0.9);
        await Database.CompleteAsync(_ids[4], 0.1, loss: double.NaN);
        await Database.ExecuteAsync("UPDATE experiments SET diverged = true WHERE id = $1", _ids[1]);

        await InvalidAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = Guid.NewGuid() }), "experimentId");
        await InvalidAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = stranger }), "experimentId");
        await InvalidAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = "best" }), "experimentId");
        await InvalidAsync(await Client.PutAsJsonAsync(Path(), new { }), "experimentId");
        await InvalidAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = _ids[1], note = "x" }), "note");
        var problem = await ProblemAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = _ids[3] }), HttpStatusCode.Conflict);
        Assert.That(problem.GetProperty("detail").GetString(), Does.StartWith("The experiment is queued"));
        foreach (var diverged in new[] { _ids[1], _ids[4] })
        {
            problem = await ProblemAsync(await Client.PutAsJsonAsync(Path(), new { experimentId = diverged }), HttpStatusCode.Conflict);
            Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("diverged"));
        }

        await AssertAsync(_ids[0], chosen: false, "");
    }

    [Test]
    public async Task AnyCall_ForNoModel_Gives404()
    {
        var path = $"/api/models/{Guid.NewGuid()}/predictor";

        await ProblemAsync(await Client.GetAsync(path), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PutAsJsonAsync(path, new { experimentId = _ids[0] }), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.DeleteAsync(path), HttpStatusCode.NotFound);
        await ProblemAsync(await Client.PostAsync(path + "/rollback", null), HttpStatusCode.NotFound);
    }

    private string Path() => $"/api/models/{_model}/predictor";

    private async Task<JsonElement> GetAsync(Guid model) => await JsonAsync(await Client.GetAsync($"/api/models/{model}/predictor"));

    private async Task<JsonElement> ChooseAsync(Guid experiment)
    {
        var response = await Client.PutAsJsonAsync(Path(), new { experimentId = experiment });
        var predictor = await JsonAsync(response);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), predictor.ToString());
        return predictor;
    }

    private async Task RollBackAsync()
    {
        var response = await Client.PostAsync(Path() + "/rollback", null);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), await response.Content.ReadAsStringAsync());
        Assert.That((await JsonAsync(response)).ToString(), Is.EqualTo((await GetAsync(_model)).ToString()));
    }

    /// <param name="history">Newest first, as <c>action place</c>, where place is that in the ids.</param>
    private async Task AssertAsync(Guid experiment, bool chosen, string history)
    {
        var predictor = await GetAsync(_model);
        Assert.That(predictor.GetProperty("experimentId").GetGuid(), Is.EqualTo(experiment));
        Assert.That(predictor.GetProperty("chosen").GetBoolean(), Is.EqualTo(chosen));
        Assert.That(
            string.Join(", ", predictor.GetProperty("history").EnumerateArray().Select(change =>
                $"{change.GetProperty("action").GetString()} {(change.GetProperty("experimentId").ValueKind == JsonValueKind.Null ? "null" : _ids.IndexOf(change.GetProperty("experimentId").GetGuid()))}")),
            Is.EqualTo(history));
    }

    /// <summary>The experiment that a prediction asks.</summary>
    private async Task<Guid> AnswererAsync(Guid? experiment = null)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1))), "image", "digit.png" } };
        if (experiment is not null)
            form.Add(new StringContent(experiment.ToString()!), "experimentId");
        var prediction = await JsonAsync(await Client.PostAsync($"/api/models/{_model}/predictions?wait=0", form));
        return prediction.GetProperty("experimentId").GetGuid();
    }
}
