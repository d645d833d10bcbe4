using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Api.Predictions;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Predictions;

public sealed class PredictionsTests : ApiFixture
{
    private readonly ImageGate _gate = new() { Longest = TimeSpan.FromMilliseconds(200) };
    private Guid _model;
    private Guid _best;
    private Guid _other;

    [OneTimeSetUp]
    public async Task CompleteTwoAsync()
    {
        _model = await Database.ModelAsync(classes: 3);
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{_model}/experiments", null));
        _best = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        _other = study.GetProperty("experiments")[1].GetProperty("id").GetGuid();
        await Database.CompleteAsync(_best, 0.9);
        await Database.CompleteAsync(_other, 0.8);
    }

    [Test]
    public async Task Predict_AnsweredByAWorker_GivesTheClassesByProbability()
    {
        await using var worker = await Database.DataSource.OpenConnectionAsync();
        var asked = new TaskCompletionSource<Guid>(TaskCreationOptions.RunContinuationsAsynchronously);
        worker.Notification += (_, notification) => asked.TrySetResult(Guid.Parse(notification.Payload));
        await using (var listen = new NpgsqlCommand("LISTEN predictions", worker))
            await listen.ExecuteNonQueryAsync();

        var clock = Stopwatch.StartNew();
        var answering = Client.PostAsync($"/api/models/{_model}/predictions", Form(Digit()));
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await worker.WaitAsync(deadline.Token);
        var id = await asked.Task.WaitAsync(deadline.Token);
        Assert.That(await Database.ScalarAsync<byte[]>("SELECT pixels FROM predictions WHERE id = $1", id), Has.Length.EqualTo(784));
        await AnswerAsync(id);
        var response = await answering.WaitAsync(deadline.Token);
        var prediction = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), prediction.ToString());
        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(9)));
        Assert.That(prediction.GetProperty("id").GetGuid(), Is.EqualTo(id));
        Assert.That(prediction.GetProperty("label").GetString(), Is.EqualTo("1"));
        Assert.That(prediction.GetProperty("confidence").GetDouble(), Is.EqualTo(0.7));
        Assert.That(
            prediction.GetProperty("probabilities").ToString(),
            Is.EqualTo("""[{"label":"1","probability":0.7},{"label":"2","probability":0.2},{"label":"0","probability":0.1}]"""));
        Assert.That(prediction.GetProperty("experimentId").GetGuid(), Is.EqualTo(_best));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/predictions/{id}"))).ToString(), Is.EqualTo(prediction.ToString()));
    }

    [Test]
    public async Task Predict_WithoutAWorker_Gives202AndWhereToAskAgain()
    {
        var response = await Client.PostAsync($"/api/models/{_model}/predictions?wait=0", Form(Digit(), _other.ToString()));
        var pending = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Accepted), pending.ToString());
        Assert.That(pending.GetProperty("status").GetString(), Is.EqualTo("waiting"));
        Assert.That((await Client.GetAsync(response.Headers.Location)).StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
        var id = pending.GetProperty("id").GetGuid();
        await Database.ExecuteAsync("UPDATE predictions SET status = 'failed', error = 'out of memory', finished_at = now() WHERE id = $1", id);
        var failed = await Client.GetAsync(response.Headers.Location);
        Assert.That(failed.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        var prediction = await JsonAsync(failed);
        Assert.That(prediction.GetProperty("status").GetString(), Is.EqualTo("failed"));
        Assert.That(prediction.GetProperty("error").GetString(), Is.EqualTo("out of memory"));
    }

    [Test]
    public async Task Predict_WhoseNotificationIsLost_IsAnsweredFromItsRow()
    {
        Assert.That((await AnsweredAsync("status = 'completed', probabilities = '{0.1, 0.7, 0.2}'")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [TestCase("status = 'failed', error = 'The trainer ran out of memory.'", "ran out of memory")]
    [TestCase("status = 'completed', probabilities = '{NaN, NaN, NaN}'", "diverged")]
    public async Task Predict_ThatFailsWhileItIsWaitedFor_Gives409WithTheReason(string change, string reason)
    {
        var problem = await ProblemAsync(await AnsweredAsync(change), HttpStatusCode.Conflict);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain(reason));
    }

    /// <summary>Predicts, and changes the row as soon as it is there, without a notification.</summary>
    private async Task<HttpResponseMessage> AnsweredAsync(string change)
    {
        await Database.ExecuteAsync("DELETE FROM predictions WHERE status = 'waiting'");
        var answering = Client.PostAsync($"/api/models/{_model}/predictions", Form(Digit()));
        await Eventually.IsTrueAsync(
            "the prediction to be asked",
            TimeSpan.FromSeconds(10),
            async () => await Database.ExecuteAsync($"UPDATE predictions SET {change} WHERE status = 'waiting' AND experiment_id = $1", _best) == 1);
        return await answering.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Test]
    public async Task Predict_WithoutACompletedExperiment_SaysWhatToDo()
    {
        var problem = await ProblemAsync(
            await Client.PostAsync($"/api/models/{await Database.ModelAsync()}/predictions", Form(Digit())), HttpStatusCode.Conflict);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("generate experiments"));
    }

    [Test]
    public async Task Predict_WithWhatIsNoImageOrNoExperiment_NamesTheField()
    {
        var path = $"/api/models/{_model}/predictions";

        await InvalidAsync(await Client.PostAsync(path, Form([1, 2, 3])), "image");
        await InvalidAsync(await Client.PostAsync(path, Form([])), "image");
        await InvalidAsync(await Client.PostAsync(path, new MultipartFormDataContent { { new StringContent("x"), "picture" } }), "image", "picture");
        await InvalidAsync(await Client.PostAsync(path, Form(Digit(), Guid.NewGuid().ToString())), "experimentId");
        await InvalidAsync(await Client.PostAsync(path, Form(Digit(), "best")), "experimentId");
        await InvalidAsync(await Client.PostAsync(path + "?wait=31", Form(Digit())), "wait");
        await InvalidAsync(await Client.PostAsync(path, new MultipartFormDataContent { { new StringContent("x"), "image" } }), "image");
        await InvalidAsync(await Client.PostAsync(path, With(Form(Digit()), "picture", "x")), "picture");
        await InvalidAsync(await Client.PostAsync(path, With(Form(Digit()), "image", "x")), "image");
        await InvalidAsync(await Client.PostAsync(path + "?experimentId=" + _best, Form(Digit())), "experimentId");
        Assert.That((await Client.PostAsync(path + "?wait=0", Form(Digit(), ""))).StatusCode, Is.EqualTo(HttpStatusCode.Accepted), "empty is absent");
        var problem = await ProblemAsync(await PostRawAsync(path, "{}"), HttpStatusCode.UnsupportedMediaType);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("takes multipart/form-data"));
        problem = await ProblemAsync(await Client.PostAsync(path, CutShort()), HttpStatusCode.BadRequest);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("cut short"));
        await ProblemAsync(await Client.PostAsync($"/api/models/{Guid.NewGuid()}/predictions", Form(Digit())), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Predict_BehindAThousandOthers_Gives429()
    {
        await Database.ExecuteAsync(
            """
            INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, attempts, created_at)
            SELECT gen_random_uuid(), $1, $2, 'waiting', '', 'crowd', 0, now() FROM generate_series(1, 1000)
            """,
            _model, _other);

        var response = await Client.PostAsync($"/api/models/{_model}/predictions?wait=0", Form(Digit()));
        await Database.ExecuteAsync("DELETE FROM predictions WHERE file_name = 'crowd'");

        await ProblemAsync(response, HttpStatusCode.TooManyRequests);
        Assert.That(response.Headers.RetryAfter?.Delta, Is.Not.Null);
    }

    [Test]
    public async Task Predict_WhileOthersHoldEveryPlace_Gives429UntilOneIsFree()
    {
        var places = await Task.WhenAll(Enumerable.Range(0, ImageGate.Places).Select(_ => _gate.EnterAsync(CancellationToken.None)));

        var crowded = await Client.PostAsync($"/api/models/{_model}/predictions?wait=0", Form(Digit()));
        foreach (var place in places)
            place!.Dispose();

        await ProblemAsync(crowded, HttpStatusCode.TooManyRequests);
        Assert.That(crowded.Headers.RetryAfter?.Delta, Is.Not.Null);
        Assert.That((await Client.PostAsync($"/api/models/{_model}/predictions?wait=0", Form(Digit()))).StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
    }

    protected override void Replace(IServiceCollection services) => services.AddSingleton(_gate);

    private Task<int> AnswerAsync(Guid id) => Database.ExecuteAsync(
        """
        WITH answered AS (
            UPDATE predictions SET status = 'completed', probabilities = '{0.1, 0.7, 0.2}', pixels = '', finished_at = now() WHERE id = $1 RETURNING id)
        SELECT pg_notify('predictions_done', id::text) FROM answered
        """,
        id);

    private static ByteArrayContent CutShort()
    {
        var content = new ByteArrayContent("--x\r\nContent-Disposition: form-data; name=image; filename=a.png\r\n\r\nabc"u8.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=x");
        return content;
    }

    private static MultipartFormDataContent With(MultipartFormDataContent form, string name, string value)
    {
        form.Add(new StringContent(value), name);
        return form;
    }

    private static MultipartFormDataContent Form(byte[] image, string? experiment = null)
    {
        var form = new MultipartFormDataContent { { new ByteArrayContent(image), "image", "digit.png" } };
        if (experiment is not null)
            form.Add(new StringContent(experiment), "experimentId");
        return form;
    }

    private static byte[] Digit() => PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1));
}
