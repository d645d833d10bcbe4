-- When what people see of a row changed last.
ALTER TABLE experiments ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE experiments ALTER COLUMN changed_at SET DEFAULT clock_timestamp();
CREATE INDEX experiments_changed ON experiments (changed_at);

ALTER TABLE trajectories ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE trajectories ALTER COLUMN changed_at SET DEFAULT clock_timestamp();
CREATE INDEX trajectories_changed ON trajectories (changed_at);

-- PostgreSQL sends equal notifications of one transaction once: a row each costs microseconds, and ten thousand rows are one notification.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at := clock_timestamp();
    PERFORM pg_notify('experiments_changed', NEW.model_id::text);
    RETURN NEW;
END $$;
CREATE TRIGGER experiments_changed BEFORE INSERT OR UPDATE ON experiments FOR EACH ROW EXECUTE FUNCTION note_change();
-- A renewed lease is nothing that people see.
CREATE TRIGGER trajectories_changed BEFORE UPDATE OF status, step, epoch, steps_per_second, loss ON trajectories
    FOR EACH ROW EXECUTE FUNCTION note_change();

-- What is gone, for a day: no row is left to tell of it. A model stands for all that it had.
CREATE TABLE deletions (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL,
    deleted_at timestamptz NOT NULL
);
CREATE INDEX deletions_deleted ON deletions (deleted_at);

CREATE FUNCTION note_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM deletions WHERE id IN (SELECT id FROM deletions WHERE deleted_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED);
    IF TG_TABLE_NAME = 'models' THEN
        INSERT INTO deletions (id, model_id, deleted_at) SELECT id, id, clock_timestamp() FROM gone
        ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at;
        PERFORM pg_notify('experiments_changed', id::text) FROM gone;
    ELSE
        -- Those that go with their model need no word of their own; its deletion, which takes several transactions, says so in this setting.
        INSERT INTO deletions (id, model_id, deleted_at)
        SELECT id, model_id, clock_timestamp() FROM gone
        WHERE model_id::text IS DISTINCT FROM current_setting('mlexperiments.deleting_model', true)
          AND EXISTS (SELECT FROM models WHERE models.id = gone.model_id)
        ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at;
        PERFORM pg_notify('experiments_changed', model_id::text) FROM (SELECT DISTINCT model_id FROM gone) AS models;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER experiments_deleted AFTER DELETE ON experiments
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_deletions();
CREATE TRIGGER models_deleted AFTER DELETE ON models
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_deletions();
