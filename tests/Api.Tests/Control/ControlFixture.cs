using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MlExperiments.Api.Tests.Control;

/// <summary>A study to be controlled; what workers make of it is tested with workers.</summary>
public abstract class ControlFixture : ApiFixture
{
    protected Guid Model { get; private set; }

    /// <summary>Six experiments on two trajectories of three milestones each.</summary>
    protected Guid[] Ids { get; private set; } = null!;

    protected Guid Study { get; private set; }

    [SetUp]
    public async Task GenerateAsync()
    {
        Model = await Database.ModelAsync();
        var response = await Client.PostAsJsonAsync(
            $"/api/models/{Model}/experiments", new { space = new { learningRate = new[] { 0.001, 0.01 }, layers = new[] { 1 }, steps = new[] { 100, 200, 400 } } });
        var study = await JsonAsync(response);
        Study = study.GetProperty("id").GetGuid();
        Ids = [.. study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid())];
    }

    protected async Task<JsonElement> ControlAsync(string path, object? body = null)
    {
        var response = body is null ? await Client.PostAsync(path, null) : await Client.PostAsJsonAsync(path, body);
        var json = await JsonAsync(response);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), json.ToString());
        return json;
    }

    protected Task<int> PutAsync(Guid id, string status) => Database.ExecuteAsync(
        """
        UPDATE experiments SET status = $2, error = CASE WHEN $2 = 'failed' THEN 'broken' END,
               accuracy = CASE WHEN $2 = 'completed' THEN 0.5 END, weights_blob = CASE WHEN $2 = 'completed' THEN repeat('a', 64) END,
               finished_at = CASE WHEN $2 = 'completed' THEN now() END, started_at = CASE WHEN $2 IN ('completed', 'failed') THEN now() END
        WHERE id = $1
        """,
        id, status);

    /// <summary>As if a worker trained its trajectory.</summary>
    protected async Task TakeAsync(Guid id, int step, int[]? checkpoints = null)
    {
        await Database.ExecuteAsync(
            """
            UPDATE trajectories SET status = 'running', fence = fence + 1, lease_until = now() + interval '1 minute', worker_id = gen_random_uuid(),
                   waiting_since = NULL, step = $2 WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)
            """,
            id, step);
        await Database.ExecuteAsync(
            "UPDATE experiments SET status = 'running', started_at = now() WHERE trajectory_id = (SELECT trajectory_id FROM experiments WHERE id = $1)", id);
        foreach (var at in checkpoints ?? [])
            await Database.ExecuteAsync(
                """
                INSERT INTO checkpoints (id, trajectory_id, step, blob_hash, length, train_seconds, engine, engine_version, device, created_at)
                SELECT gen_random_uuid(), trajectory_id, $2, repeat('c', 64), 10, 1, 'TorchSharp', '1', 'cpu', now() FROM experiments WHERE id = $1
                """,
                id, at);
    }

    protected Task<int> ReleaseAsync() => Database.ExecuteAsync(
        "UPDATE trajectories SET status = 'idle', lease_until = NULL, worker_id = NULL WHERE model_id = $1 AND status = 'running'", Model);

    protected Task<string> StatusAsync(Guid id) => Database.ScalarAsync<string>("SELECT status FROM experiments WHERE id = $1", id);

    protected Task<long> ControlNumberAsync(Guid id) =>
        Database.ScalarAsync<long>("SELECT control FROM trajectories WHERE id = (SELECT trajectory_id FROM experiments WHERE id = $1)", id);

    protected Task<Guid> TrajectoryAsync(Guid id) => Database.ScalarAsync<Guid>("SELECT trajectory_id FROM experiments WHERE id = $1", id);

    protected Task<string[]> TrajectoriesAsync() =>
        Database.ScalarAsync<string[]>("SELECT array_agg(status ORDER BY id) FROM trajectories WHERE model_id = $1", Model);
}
