using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Api.Predictions;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Predictions;

/// <summary>Several images in one request, and the list of what was asked.</summary>
public sealed class PredictionBatchTests : ApiFixture
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly ImageGate _gate = new() { Longest = TimeSpan.FromMilliseconds(200) };
    private Guid _model;
    private Guid _experiment;

    [SetUp]
    public async Task CompleteOneAsync()
    {
        _model = await Database.ModelAsync(classes: 3);
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{_model}/experiments", null));
        _experiment = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        await Database.CompleteAsync(_experiment, 0.9);
    }

    [Test]
    public async Task Predict_SeveralImages_AnswersThemAllInTheirOrder_AfterOneNotification()
    {
        await using var worker = await Database.DataSource.OpenConnectionAsync();
        var notifications = 0;
        worker.Notification += (_, _) => notifications++;
        await using (var listen = new NpgsqlCommand("LISTEN predictions", worker))
            await listen.ExecuteNonQueryAsync();

        var answering = Client.PostAsync(Path() + "?wait=30", Form(20));
        await WhenAskedAsync(20);
        await using (var look = new NpgsqlCommand("SELECT 1", worker))
            await look.ExecuteScalarAsync();
        Assert.That(notifications, Is.EqualTo(1));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(DISTINCT batch_id) FROM predictions WHERE model_id = $1", _model), Is.EqualTo(1));
        await AnswerAsync("true");
        var response = await answering.WaitAsync(Patience);
        var batch = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), batch.ToString());
        var items = batch.GetProperty("items").EnumerateArray().ToList();
        Assert.That(items.Select(item => item.GetProperty("file").GetString()), Is.EqualTo(Enumerable.Range(0, 20).Select(index => $"digit {index}.png")));
        Assert.That(items.Select(item => item.GetProperty("label").GetString()), Is.All.EqualTo("1"));
        Assert.That(items.Select(item => item.GetProperty("experimentId").GetGuid()), Is.All.EqualTo(_experiment));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/predictions/batches/{batch.GetProperty("id").GetGuid()}"))).ToString(), Is.EqualTo(batch.ToString()));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/predictions/{items[3].GetProperty("id").GetGuid()}"))).ToString(), Is.EqualTo(items[3].ToString()));
    }

    [Test]
    public async Task Predict_SeveralWhoseNotificationsAreLost_IsAnsweredFromTheirRows_EachWithItsOwnEnd()
    {
        var answering = Client.PostAsync(Path(), Form(3));
        await WhenAskedAsync(3);
        await Database.ExecuteAsync("UPDATE predictions SET status = 'failed', error = 'out of memory' WHERE file_name = 'digit 1.png' AND model_id = $1", _model);
        await Database.ExecuteAsync("UPDATE predictions SET status = 'completed', probabilities = '{0.1, 0.7, 0.2}' WHERE status = 'waiting' AND model_id = $1", _model);

        var response = await answering.WaitAsync(Patience);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        var items = (await JsonAsync(response)).GetProperty("items").EnumerateArray().ToList();
        Assert.That(items.Select(item => item.GetProperty("status").GetString()), Is.EqualTo(new[] { "completed", "failed", "completed" }));
        Assert.That(items[1].GetProperty("error").GetString(), Is.EqualTo("out of memory"));
    }

    [Test]
    public async Task Predict_SeveralNotAnsweredInTime_Gives202_AndTheBatchToAskAgain()
    {
        var response = await Client.PostAsync(Path() + "?wait=0", Form(2));
        var pending = await JsonAsync(response);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Accepted), pending.ToString());
        Assert.That(response.Headers.Location?.ToString(), Is.EqualTo($"/api/predictions/batches/{pending.GetProperty("id").GetGuid()}"));
        await AnswerAsync("file_name = 'digit 0.png'");
        Assert.That((await Client.GetAsync(response.Headers.Location)).StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
        await AnswerAsync("file_name = 'digit 1.png'");
        Assert.That((await Client.GetAsync(response.Headers.Location)).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        await ProblemAsync(await Client.GetAsync($"/api/predictions/batches/{Guid.NewGuid()}"), HttpStatusCode.NotFound);
    }

    [Test]
    public async Task Predict_WithUnreadableImagesAmongThem_NamesEach_AndStoresNothing()
    {
        var form = Form(2);
        for (var bad = 0; bad < 30; bad++)
            form.Add(new ByteArrayContent([1, 2, (byte)bad]), "image", $"bad {bad}.png");

        var problem = await InvalidAsync(await Client.PostAsync(Path(), form), "image");

        var messages = problem.GetProperty("errors").GetProperty("image").EnumerateArray().Select(message => message.GetString()).ToList();
        Assert.That(messages, Has.Count.EqualTo(30));
        Assert.That(messages[29], Does.Contain("\"bad 29.png\" can't be read: "));
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("bad 0.png").And.Contain("29 more"));
        Assert.That(await CountAsync(), Is.Zero);
    }

    [Test]
    public async Task Predict_TooManyOrTooMuch_IsRefused()
    {
        Assert.That((await Client.PostAsync(Path() + "?wait=0", Form(100))).StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That(await CountAsync(), Is.EqualTo(100));

        var problem = await InvalidAsync(await Client.PostAsync(Path(), Form(101)), "image");
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("at most 100"));
        var large = Form(1);
        large.Add(new ByteArrayContent(new byte[32 * 1024 * 1024 + 1]), "image", "large.png");
        problem = await InvalidAsync(await Client.PostAsync(Path(), large), "image");
        Assert.That(problem.GetProperty("detail").GetString(), Is.EqualTo("\"large.png\" is larger than 32 MiB."));
        var heavy = Form(0);
        for (var file = 0; file < 3; file++)
            heavy.Add(new ByteArrayContent(new byte[22 * 1024 * 1024]), "image", $"heavy {file}.png");
        await ProblemAsync(await Client.PostAsync(Path(), heavy), HttpStatusCode.RequestEntityTooLarge);
        Assert.That(await CountAsync(), Is.EqualTo(100));
    }

    [Test]
    public async Task Predict_MoreThanMayWait_Gives429_AndStoresNothing()
    {
        await Database.ExecuteAsync("DELETE FROM predictions");
        await Database.ExecuteAsync(
            """
            INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, attempts, created_at)
            SELECT gen_random_uuid(), $1, $2, 'waiting', '', 'crowd', 0, now() FROM generate_series(1, 990)
            """,
            _model, _experiment);

        var response = await Client.PostAsync(Path() + "?wait=0", Form(11));
        var fewer = await Client.PostAsync(Path() + "?wait=0", Form(10));
        await Database.ExecuteAsync("DELETE FROM predictions WHERE file_name = 'crowd'");

        await ProblemAsync(response, HttpStatusCode.TooManyRequests);
        Assert.That(response.Headers.RetryAfter?.Delta, Is.Not.Null);
        Assert.That(fewer.StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That(await CountAsync(), Is.EqualTo(10));
    }

    [Test]
    public async Task Predict_SeveralWhileOthersHoldEveryPlace_Gives429_AndStoresNothing()
    {
        var places = await Task.WhenAll(Enumerable.Range(0, ImageGate.Places).Select(_ => _gate.EnterAsync(CancellationToken.None)));

        var crowded = await Client.PostAsync(Path() + "?wait=0", Form(2));
        foreach (var place in places)
            place!.Dispose();

        await ProblemAsync(crowded, HttpStatusCode.TooManyRequests);
        Assert.That(await CountAsync(), Is.Zero);
    }

    [Test]
    public async Task List_OfAModel_HasTheNewestFirst_PageByPage()
    {
        var made = new List<Guid>();
        for (var request = 0; request < 4; request++)
        {
            var answer = await JsonAsync(await Client.PostAsync(Path() + "?wait=0", Form(request == 2 ? 3 : 1)));
            made.AddRange(answer.TryGetProperty("items", out var items) ? items.EnumerateArray().Select(Id) : [Id(answer)]);
        }

        await AnswerAsync("true");
        var listed = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var page = await JsonAsync(await Client.GetAsync($"{Path()}?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}"));
            listed.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null && listed.Count < 100);

        Assert.That(listed.Select(Id), Is.EqualTo(Enumerable.Reverse(made)));
        Assert.That(listed.Select(item => item.GetProperty("label").GetString()), Is.All.EqualTo("1"));
        Assert.That((await JsonAsync(await Client.GetAsync($"/api/models/{await Database.ModelAsync()}/predictions"))).GetProperty("items").GetArrayLength(), Is.Zero);
        await ProblemAsync(await Client.GetAsync($"/api/models/{Guid.NewGuid()}/predictions"), HttpStatusCode.NotFound);
        await InvalidAsync(await Client.GetAsync(Path() + "?status=failed"), "status");
        await InvalidAsync(await Client.GetAsync(Path() + "?cursor=x"), "cursor");
    }

    protected override void Replace(IServiceCollection services) => services.AddSingleton(_gate);

    private string Path() => $"/api/models/{_model}/predictions";

    private Task<long> CountAsync() => Database.ScalarAsync<long>("SELECT count(*) FROM predictions WHERE model_id = $1", _model);

    private Task<long> WhenAskedAsync(int count) => Eventually.GetAsync("the predictions to be asked", Patience, CountAsync, found => found == count);

    /// <summary>Answers what waits, as a worker would.</summary>
    private Task<int> AnswerAsync(string condition) => Database.ExecuteAsync(
        $$"""
        WITH answered AS (
            UPDATE predictions SET status = 'completed', probabilities = '{0.1, 0.7, 0.2}', pixels = '', finished_at = now()
            WHERE status = 'waiting' AND model_id = $1 AND {{condition}} RETURNING id)
        SELECT pg_notify('predictions_done', id::text) FROM answered
        """,
        _model);

    private static MultipartFormDataContent Form(int images)
    {
        var form = new MultipartFormDataContent();
        for (var image = 0; image < images; image++)
            form.Add(new ByteArrayContent(PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1))), "image", $"digit {image}.png");
        return form;
    }

    private static Guid Id(JsonElement item) => item.GetProperty("id").GetGuid();
}
