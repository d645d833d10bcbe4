using System.Diagnostics;
using System.Net;
using MlExperiments.Shared.Imaging;
using Npgsql;

namespace MlExperiments.Api.Tests.Predictions;

public sealed class PredictionsTests : ApiFixture
{
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
        await worker.WaitAsync();
        var id = await asked.Task;
        Assert.That(await Database.ScalarAsync<byte[]>("SELECT pixels FROM predictions WHERE id = $1", id), Has.Length.EqualTo(784));
        await AnswerAsync(id);
        var response = await answering;
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
        var problem = await ProblemAsync(await Client.GetAsync(response.Headers.Location), HttpStatusCode.InternalServerError);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("out of memory"));
    }

    [Test]
    public async Task Predict_WhoseNotificationIsLost_IsAnsweredFromItsRow()
    {
        var answering = Client.PostAsync($"/api/models/{_model}/predictions", Form(Digit()));
        Guid? id = null;
        for (var deadline = Stopwatch.StartNew(); id is null && deadline.Elapsed < TimeSpan.FromSeconds(5);)
        {
            await using var command = Database.DataSource.CreateCommand(
                "UPDATE predictions SET status = 'completed', probabilities = '{0.1, 0.7, 0.2}' WHERE status = 'waiting' AND experiment_id = $1 RETURNING id");
            command.Parameters.AddWithValue(_best);
            id = (Guid?)await command.ExecuteScalarAsync();
        }

        Assert.That((await answering).StatusCode, Is.EqualTo(HttpStatusCode.OK));
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
        await InvalidAsync(await Client.PostAsync(path, new MultipartFormDataContent { { new StringContent("x"), "picture" } }), "image");
        await InvalidAsync(await Client.PostAsync(path, Form(Digit(), Guid.NewGuid().ToString())), "experimentId");
        await InvalidAsync(await Client.PostAsync(path, Form(Digit(), "best")), "experimentId");
        await InvalidAsync(await Client.PostAsync(path + "?wait=31", Form(Digit())), "wait");
        await ProblemAsync(await PostRawAsync(path, "{}"), HttpStatusCode.UnsupportedMediaType);
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

    private Task<int> AnswerAsync(Guid id) => Database.ExecuteAsync(
        """
        WITH answered AS (
            UPDATE predictions SET status = 'completed', probabilities = '{0.1, 0.7, 0.2}', pixels = '', finished_at = now() WHERE id = $1 RETURNING id)
        SELECT pg_notify('predictions_done', id::text) FROM answered
        """,
        id);

    private static MultipartFormDataContent Form(byte[] image, string? _experiment = null)
    {
        var form = new MultipartFormDataContent { { new ByteArrayContent(image), "image", "digit.png" } };
        if (_experiment is not null)
            form.Add(new StringContent(_experiment), "experimentId");
        return form;
    }

    private static byte[] Digit() => PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1));
}
