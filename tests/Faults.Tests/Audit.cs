using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>
/// A witness in the database that knows nothing of fences and clocks: triggers that note each claim and each result when it is
/// written, and each write of a worker to a trajectory that another one holds. Workers are told apart by the names of their connections.
/// </summary>
internal static class Audit
{
    private const string Triggers =
        """
        CREATE TABLE audit_results (experiment_id uuid NOT NULL, worker text NOT NULL);
        CREATE TABLE audit_claims (place bigserial, trajectory_id uuid NOT NULL);
        CREATE TABLE audit_stale (kind text NOT NULL, trajectory_id uuid NOT NULL, worker text NOT NULL, holder text);

        CREATE FUNCTION audit_result() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit_results VALUES (NEW.id, current_setting('application_name'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER audit_result AFTER UPDATE OF status ON experiments
            FOR EACH ROW WHEN (NEW.status = 'completed') EXECUTE FUNCTION audit_result();

        CREATE FUNCTION audit_claim() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit_claims (trajectory_id) VALUES (NEW.trajectory_id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER audit_claim AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION audit_claim();

        CREATE FUNCTION audit_writer() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            holder text := (SELECT workers.name FROM trajectories JOIN workers ON workers.id = trajectories.worker_id
                            WHERE trajectories.id = COALESCE(NEW.trajectory_id, OLD.trajectory_id));
        BEGIN
            IF holder IS DISTINCT FROM current_setting('application_name') THEN
                INSERT INTO audit_stale
                VALUES (TG_TABLE_NAME || ' ' || TG_OP, COALESCE(NEW.trajectory_id, OLD.trajectory_id), current_setting('application_name'), holder);
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER audit_writer AFTER INSERT OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION audit_writer();
        CREATE TRIGGER audit_writer AFTER INSERT OR UPDATE ON metric_points FOR EACH ROW EXECUTE FUNCTION audit_writer();
        CREATE TRIGGER audit_writer AFTER UPDATE OF from_step ON attempts FOR EACH ROW EXECUTE FUNCTION audit_writer();
        CREATE TRIGGER audit_writer AFTER UPDATE OF status ON experiments
            FOR EACH ROW WHEN (NEW.status = 'completed') EXECUTE FUNCTION audit_writer();
        """;

    public static async Task InstallAsync(TestDatabase database)
    {
        await using var command = database.DataSource.CreateCommand(Triggers);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Results beyond the first of each experiment.</summary>
    public static Task<int> RepeatedAsync(TestDatabase database) =>
        CountAsync(database, "SELECT count(*) - count(DISTINCT experiment_id) FROM audit_results");

    /// <summary>Each write of a worker that did not hold the trajectory.</summary>
    public static async Task<List<string>> StaleAsync(TestDatabase database)
    {
        await using var command = database.DataSource.CreateCommand("SELECT format('%s of %s by %s, held by %s', kind, trajectory_id, worker, holder) FROM audit_stale");
        await using var reader = await command.ExecuteReaderAsync();
        List<string> stale = [];
        while (await reader.ReadAsync())
            stale.Add(reader.GetString(0));
        return stale;
    }

    /// <summary>The trajectories in the order in which they were claimed.</summary>
    public static async Task<List<Guid>> ClaimsAsync(TestDatabase database)
    {
        await using var command = database.DataSource.CreateCommand("SELECT trajectory_id FROM audit_claims ORDER BY place");
        await using var reader = await command.ExecuteReaderAsync();
        List<Guid> claims = [];
        while (await reader.ReadAsync())
            claims.Add(reader.GetGuid(0));
        return claims;
    }

    private static async Task<int> CountAsync(TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (int)(long)(await command.ExecuteScalarAsync())!;
    }
}
