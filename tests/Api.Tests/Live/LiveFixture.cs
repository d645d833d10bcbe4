using MlExperiments.Testing;
using Npgsql;

namespace MlExperiments.Api.Tests.Live;

/// <summary>Streams of a running service, and the writes that they tell of.</summary>
public abstract class LiveFixture : ApiFixture
{
    protected Task<EventStreamReader> WatchAsync(string path, string? lastEventId = null) => EventStreamReader.OpenAsync(Client, path, lastEventId);

    /// <summary>A model with 27 queued experiments on 9 trajectories, in the order of their numbers; all of it is an hour old.</summary>
    protected async Task<(Guid Model, List<Guid> Experiments)> GenerateAsync()
    {
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        await AgeAsync(model);
        return (model, study.GetProperty("experiments").EnumerateArray().Select(experiment => experiment.GetProperty("id").GetGuid()).ToList());
    }

    /// <summary>Makes the last change of a model's experiments an hour old.</summary>
    protected Task AgeAsync(Guid model) => SilentlyAsync(
        $"""
        UPDATE experiments SET changed_at = now() - interval '1 hour' WHERE model_id = '{model}';
        UPDATE trajectories SET changed_at = now() - interval '1 hour' WHERE model_id = '{model}'
        """);

    /// <summary>Writes without the triggers: nobody is told.</summary>
    protected async Task SilentlyAsync(string sql)
    {
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var command = new NpgsqlCommand($"BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT", connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>More queued experiments beside one, on its trajectory.</summary>
    protected Task<int> CopyAsync(Guid experiment, int count) => Database.ExecuteAsync(
        """
        INSERT INTO experiments (id, model_id, study_id, trajectory_id, number, name, status, parameters, fingerprint, total_steps, priority, diverged, reproducible, created_at, queued_at)
        SELECT gen_random_uuid(), model_id, study_id, trajectory_id, 1000 + i, 'copy ' || i, 'queued', parameters, encode(sha256((id::text || i)::bytea), 'hex'), total_steps, 0, false, true, now(), now()
        FROM experiments, generate_series(1, $2) AS i WHERE id = $1
        """,
        experiment, count);

    protected Task RenameAsync(Guid experiment, string name) => Database.ExecuteAsync("UPDATE experiments SET name = $2 WHERE id = $1", experiment, name);

    protected static bool IsNamed(ServerSentEvent told, string name) => told.Name == "experiment" && told.Data.GetProperty("name").GetString() == name;
}
