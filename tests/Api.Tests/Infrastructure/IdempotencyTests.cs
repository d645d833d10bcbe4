using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class IdempotencyTests : ApiFixture
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Test]
    public async Task Post_SentAgainWithItsKey_IsAnsweredAsTheFirstTime_AndCarriedOutOnce()
    {
        var (key, body) = (NewKey(), NewModel());

        var first = await SendAsync("/api/models", key, body);
        var second = await SendAsync("/api/models", key, body);

        Assert.That(first.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(IsReplayed(first), Is.False);
        Assert.That(IsReplayed(second));
        Assert.That(second.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(second.Headers.Location, Is.EqualTo(first.Headers.Location).And.Not.Null);
        Assert.That(second.Content.Headers.ContentType, Is.EqualTo(first.Content.Headers.ContentType));
        Assert.That(await second.Content.ReadAsStringAsync(), Is.EqualTo(await first.Content.ReadAsStringAsync()).And.Contain("\"id\""));
        await ProblemAsync(await SendAsync("/api/models", null, body), HttpStatusCode.Conflict);
    }

    [Test]
    public async Task Post_SentTenTimesAtOnce_IsCarriedOutOnce_AndEachGetsItsAnswerOrIsToldToWait()
    {
        var (key, body) = (NewKey(), NewModel());

        var responses = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => SendAsync("/api/models", key, body)));

        var created = responses.Where(response => response.StatusCode == HttpStatusCode.Created).ToList();
        Assert.That(created.Count(response => !IsReplayed(response)), Is.EqualTo(1));
        Assert.That((await Task.WhenAll(created.Select(response => response.Content.ReadAsStringAsync()))).Distinct().Count(), Is.EqualTo(1));
        foreach (var response in responses.Except(created))
        {
            await ProblemAsync(response, HttpStatusCode.Conflict);
            Assert.That(response.Headers.RetryAfter?.Delta, Is.EqualTo(TimeSpan.FromSeconds(1)));
        }
    }

    [Test]
    public async Task Generate_SentAgainWithItsKey_SaysAgainWhatItMade()
    {
        var path = $"/api/models/{await Database.ModelAsync()}/experiments";
        var key = NewKey();

        var first = await JsonAsync(await SendAsync(path, key, null));
        var second = await SendAsync(path.ToUpperInvariant() + "/", key, null);

        Assert.That(IsReplayed(second), "the same address in other letters");
        Assert.That((await JsonAsync(second)).ToString(), Is.EqualTo(first.ToString()));
        Assert.That(first.GetProperty("experiments").GetArrayLength(), Is.EqualTo(27));
        var anew = await JsonAsync(await SendAsync(path, NewKey(), null));
        Assert.That(anew.GetProperty("existing").GetArrayLength(), Is.EqualTo(27));
    }

    [Test]
    public async Task Key_OnAnotherPath_IsAnotherKey()
    {
        var key = NewKey();
        var (one, other) = (await Database.ModelAsync(), await Database.ModelAsync());

        await SendAsync($"/api/models/{one}/train", key, null);
        var response = await SendAsync($"/api/models/{other}/train", key, null);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(IsReplayed(response), Is.False);
    }

    [Test]
    public async Task Key_WithAnotherBodyOrQuery_IsRefused()
    {
        var key = NewKey();
        await SendAsync("/api/models", key, NewModel());
        await ProblemAsync(await SendAsync("/api/models", key, NewModel()), HttpStatusCode.UnprocessableEntity);

        var model = await CompletedModelAsync();
        await SendAsync($"/api/models/{model}/predictions?wait=0", key, Form("a.png"));
        await ProblemAsync(await SendAsync($"/api/models/{model}/predictions?wait=1", key, Form("a.png")), HttpStatusCode.UnprocessableEntity);
        await ProblemAsync(await SendAsync($"/api/models/{model}/predictions?wait=0", key, Form("b.png")), HttpStatusCode.UnprocessableEntity);
        await ProblemAsync(await SendAsync($"/api/models/{model}/predictions?wait=0", key, Form("a.png", "b.png")), HttpStatusCode.UnprocessableEntity);
    }

    [Test]
    public async Task Form_SentAgainWithAnotherBoundary_IsTheSame()
    {
        var path = $"/api/models/{await CompletedModelAsync()}/predictions?wait=0";
        var key = NewKey();

        var first = await SendAsync(path, key, Form("a.png", "b.png"));
        var second = await SendAsync(path, key, Form("a.png", "b.png"));

        Assert.That(first.StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
        Assert.That(IsReplayed(second));
        Assert.That(second.Headers.Location, Is.EqualTo(first.Headers.Location).And.Not.Null);
        Assert.That(await second.Content.ReadAsStringAsync(), Is.EqualTo(await first.Content.ReadAsStringAsync()));
    }

    [Test]
    public async Task RollBack_SentAgainWithItsKey_GoesBackOnce()
    {
        var model = await CompletedModelAsync();
        var experiments = await JsonAsync(await Client.GetAsync($"/api/models/{model}/experiments?status=completed"));
        foreach (var experiment in experiments.GetProperty("items").EnumerateArray())
            await Client.PutAsJsonAsync($"/api/models/{model}/predictor", new { experimentId = experiment.GetProperty("id").GetGuid() });
        var key = NewKey();

        await SendAsync($"/api/models/{model}/predictor/rollback", key, null);
        var again = await SendAsync($"/api/models/{model}/predictor/rollback", key, null);

        Assert.That(IsReplayed(again));
        var predictor = await JsonAsync(await Client.GetAsync($"/api/models/{model}/predictor"));
        Assert.That(predictor.GetProperty("experimentId").GetGuid(), Is.EqualTo(experiments.GetProperty("items")[0].GetProperty("id").GetGuid()));
        Assert.That(predictor.ToString(), Is.EqualTo((await JsonAsync(again)).ToString()));
    }

    [TestCase("""{"name": ""}""", HttpStatusCode.BadRequest)]
    [TestCase("""{"name": """, HttpStatusCode.BadRequest)]
    [TestCase("[]", HttpStatusCode.BadRequest)]
    [TestCase("", HttpStatusCode.BadRequest)]
    public async Task Refusal_SentAgainWithItsKey_IsTheSame(string body, HttpStatusCode status)
    {
        var key = NewKey();

        var first = await ProblemAsync(await SendAsync("/api/models", key, new StringContent(body, Encoding.UTF8, "application/json")), status);
        var again = await SendAsync("/api/models", key, new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.That(IsReplayed(again));
        Assert.That((await ProblemAsync(again, status)).ToString(), Is.EqualTo(first.ToString()));
    }

    [Test]
    public async Task Failure_IsNotKept_AndNeitherIsTooMuch()
    {
        var model = await CompletedModelAsync();
        var key = NewKey();
        await Database.ExecuteAsync(
            """
            CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'failed'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON studies FOR EACH ROW EXECUTE FUNCTION fail()
            """);
        var path = $"/api/models/{model}/experiments";
        var body = """{"fixed": {"learningRate": 0.1, "layers": 1, "steps": 1}}""";
        var failed = await SendAsync(path, key, Json(body));
        await Database.ExecuteAsync("DROP TRIGGER fail ON studies");
        await ProblemAsync(failed, HttpStatusCode.InternalServerError);
        Assert.That((await SendAsync(path, key, Json(body))).StatusCode, Is.EqualTo(HttpStatusCode.Created));

        await Database.ExecuteAsync(
            """
            INSERT INTO predictions (id, model_id, experiment_id, status, pixels, file_name, attempts, created_at)
            SELECT gen_random_uuid(), model_id, id, 'waiting', '', 'crowd', 0, now() FROM experiments, generate_series(1, 1000) WHERE model_id = $1 AND status = 'completed'
            """,
            model);
        path = $"/api/models/{model}/predictions?wait=0";
        var crowded = await SendAsync(path, key, Form("a.png"));
        await Database.ExecuteAsync("DELETE FROM predictions WHERE file_name = 'crowd'");
        await ProblemAsync(crowded, HttpStatusCode.TooManyRequests);
        Assert.That((await SendAsync(path, key, Form("a.png"))).StatusCode, Is.EqualTo(HttpStatusCode.Accepted));
    }

    [Test]
    public async Task Answer_OutlivesTheService()
    {
        var (key, body) = (NewKey(), NewModel());
        var first = await (await SendAsync("/api/models", key, body)).Content.ReadAsStringAsync();
        await using var restarted = new ApiHost(Database.ConnectionString, [], _ => { });
        using var client = restarted.CreateClient();

        var again = await SendAsync("/api/models", key, body, client);

        Assert.That(IsReplayed(again));
        Assert.That(await again.Content.ReadAsStringAsync(), Is.EqualTo(first));
    }

    [Test]
    public async Task Client_ThatGoesAwayMeanwhile_FindsTheAnswerWhenItComesBack()
    {
        var (key, body) = (NewKey(), NewModel());
        await using (var blocker = await Database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await blocker.BeginTransactionAsync();
            await using (var holding = new NpgsqlCommand("LOCK TABLE models IN SHARE MODE", blocker, transaction))
                await holding.ExecuteNonQueryAsync();
            using var leaving = new CancellationTokenSource();
            var sending = SendAsync("/api/models", key, body, cancellationToken: leaving.Token);
            await Eventually.IsTrueAsync(
                "the insertion to wait", Patience, () => Database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'models'::regclass)"));
            await ProblemAsync(await SendAsync("/api/models", key, body), HttpStatusCode.Conflict);
            await leaving.CancelAsync();
            Assert.CatchAsync<OperationCanceledException>(() => sending);
            await transaction.CommitAsync();
        }

        var again = await Eventually.GetAsync("the answer", Patience, () => SendAsync("/api/models", key, body), response => response.StatusCode != HttpStatusCode.Conflict);

        Assert.That(again.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(IsReplayed(again));
    }

    [Test]
    public async Task Key_OfAProcessThatDied_IsTakenOver_OnceItsLeaseIsOver_ForTheSameRequestOnly()
    {
        var (key, body) = (NewKey(), NewModel());
        await SendAsync("/api/models", key, body);
        await Database.ExecuteAsync("UPDATE idempotency_keys SET status = NULL, body = NULL, owner = gen_random_uuid(), lease_until = now() + interval '1 minute' WHERE key = $1", key);
        var underWay = await SendAsync("/api/models", key, body);
        await ProblemAsync(underWay, HttpStatusCode.Conflict);
        Assert.That(underWay.Headers.RetryAfter, Is.Not.Null);

        await Database.ExecuteAsync("UPDATE idempotency_keys SET lease_until = now() - interval '1 second' WHERE key = $1", key);

        await ProblemAsync(await SendAsync("/api/models", key, NewModel()), HttpStatusCode.UnprocessableEntity);
        var takenOver = await SendAsync("/api/models", key, body);
        Assert.That(IsReplayed(takenOver), Is.False);
        await ProblemAsync(takenOver, HttpStatusCode.Conflict);
        Assert.That(IsReplayed(await SendAsync("/api/models", key, body)));
    }

    [Test]
    public async Task Keys_OfYesterday_MeanNothing_AndAreRemoved()
    {
        var (key, body) = (NewKey(), NewModel());
        await SendAsync("/api/models", key, body);
        Assert.That(
            await Database.ScalarAsync<bool>("SELECT expires_at BETWEEN now() + interval '23 hours' AND now() + interval '24 hours' FROM idempotency_keys WHERE key = $1", key));
        await Database.ExecuteAsync("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = $1", key);
        await Database.ExecuteAsync(
            """
            INSERT INTO idempotency_keys (key, path, fingerprint, owner, status, expires_at)
            SELECT 'old ' || number, '/', sha256(''), gen_random_uuid(), 200, now() - interval '1 hour' FROM generate_series(1, 150) AS number
            """);

        await SendAsync("/api/models", NewKey(), NewModel());
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM idempotency_keys WHERE path = '/'"), Is.EqualTo(50));
        var anew = await SendAsync("/api/models", key, NewModel());

        Assert.That(anew.StatusCode, Is.EqualTo(HttpStatusCode.Created), "another body, a day later");
        Assert.That(IsReplayed(anew), Is.False);
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM idempotency_keys WHERE path = '/'"), Is.Zero);
    }

    [Test]
    public async Task Lease_OfARequestThatTakesLong_IsRenewed()
    {
        var (key, body) = (NewKey(), NewModel());
        await using var blocker = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var holding = new NpgsqlCommand("LOCK TABLE models IN SHARE MODE", blocker, transaction))
            await holding.ExecuteNonQueryAsync();
        var sending = SendAsync("/api/models", key, body);
        var first = await Eventually.GetAsync("the lease", Patience, LeaseAsync, lease => lease is not null);

        await Eventually.GetAsync("its renewal", TimeSpan.FromSeconds(20), LeaseAsync, lease => lease > first);
        await transaction.CommitAsync();

        Assert.That((await sending).StatusCode, Is.EqualTo(HttpStatusCode.Created));

        async Task<DateTime?> LeaseAsync()
        {
            await using var command = Database.DataSource.CreateCommand("SELECT lease_until FROM idempotency_keys WHERE key = $1");
            command.Parameters.Add(new NpgsqlParameter { Value = key });
            return await command.ExecuteScalarAsync() as DateTime?;
        }
    }

    [TestCase("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324")]
    [TestCase("\"a\\\"b\\\\c\"", "a\"b\\c")]
    public async Task Key_InQuotes_IsTheSameWithout(string quoted, string bare)
    {
        var body = NewModel();
        await SendAsync("/api/models", quoted, body);

        Assert.That(IsReplayed(await SendAsync("/api/models", bare, body)));
    }

    [TestCase("")]
    [TestCase("\"\"")]
    [TestCase("two words")]
    [TestCase("\"two words\"")]
    [TestCase("\"open")]
    [TestCase("\"a\"; b=1")]
    [TestCase("\"a\\b\"")]
    public async Task Key_ThatIsNone_Gives400(string key) => await InvalidAsync(await SendAsync("/api/models", key, NewModel()), "idempotency-key");

    [Test]
    public async Task Key_AtItsLimits_IsTakenOrRefused()
    {
        Assert.That((await SendAsync("/api/models", "~", NewModel())).StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((await SendAsync("/api/models", new string('x', 255), NewModel())).StatusCode, Is.EqualTo(HttpStatusCode.Created));
        await InvalidAsync(await SendAsync("/api/models", new string('x', 256), NewModel()), "idempotency-key");
        using var twice = new HttpRequestMessage(HttpMethod.Post, "/api/models") { Content = Json(NewModel()) };
        twice.Headers.TryAddWithoutValidation("Idempotency-Key", ["a", "b"]);
        await InvalidAsync(await Client.SendAsync(twice), "idempotency-key");
    }

    [Test]
    public async Task LargeAnswer_SentAgain_IsWhole()
    {
        var path = $"/api/models/{await Database.ModelAsync()}/experiments";
        var key = NewKey();
        var body = """{"space": {"seed": {"min": 1, "max": 10000, "step": 1}}, "fixed": {"learningRate": 0.1, "layers": 1, "steps": 10}}""";

        var first = await (await SendAsync(path, key, Json(body))).Content.ReadAsStringAsync();
        var again = await SendAsync(path, key, Json(body));

        Assert.That(IsReplayed(again));
        Assert.That(await again.Content.ReadAsStringAsync() == first, "the same text");
        await TestContext.Out.WriteLineAsync(
            $"{first.Length} characters, {await Database.ScalarAsync<int>("SELECT octet_length(body) FROM idempotency_keys WHERE key = $1", key)} bytes packed");
    }

    [Test]
    public async Task Body_BeyondTheCallsLimit_Gives413() =>
        await ProblemAsync(await SendAsync("/api/models", NewKey(), new string(' ', 1024 * 1024 + 1)), HttpStatusCode.RequestEntityTooLarge);

    private async Task<HttpResponseMessage> SendAsync(
        string path, string? key, object? body, HttpClient? client = null, CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body as HttpContent ?? (body is string text ? Json(text) : null) };
        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        return await (client ?? Client).SendAsync(request, cancellationToken);
    }

    /// <summary>With two completed experiments.</summary>
    private async Task<Guid> CompletedModelAsync()
    {
        var model = await Database.ModelAsync(classes: 3);
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        for (var index = 0; index < 2; index++)
            await Database.CompleteAsync(study.GetProperty("experiments")[index].GetProperty("id").GetGuid(), 0.9);
        return model;
    }

    private static bool IsReplayed(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Idempotency-Replayed", out var values) && values.SequenceEqual(["true"]);

    private static string NewKey() => Guid.NewGuid().ToString();

    private static string NewModel() => JsonSerializer.Serialize(new { name = $"model {Guid.NewGuid():N}" });

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private static MultipartFormDataContent Form(params string[] names)
    {
        var form = new MultipartFormDataContent();
        foreach (var name in names)
            form.Add(new ByteArrayContent(PngWriter.Encode(new byte[784], new ImageShape(28, 28, 1))), "image", name);
        return form;
    }
}
