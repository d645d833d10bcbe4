ALTER TABLE studies
    ADD COLUMN seconds_limit integer CHECK (seconds_limit >= 1),
    ADD COLUMN failures_limit integer CHECK (failures_limit >= 1),
    ADD COLUMN stopped_at timestamptz,
    ADD COLUMN stop_reason text,
    ADD CHECK ((stopped_at IS NULL) = (stop_reason IS NULL));
CREATE INDEX studies_limited ON studies (id) WHERE stopped_at IS NULL AND (seconds_limit IS NOT NULL OR failures_limit IS NOT NULL);

-- What sweeps look for.
CREATE INDEX experiments_open ON experiments (study_id) WHERE status IN ('queued', 'running');
CREATE INDEX experiments_queued ON experiments (trajectory_id) WHERE status = 'queued';

-- Set before a model's deletion begins, which takes several transactions: one that was interrupted is nothing to work with.
ALTER TABLE models ADD COLUMN is_being_deleted boolean NOT NULL DEFAULT false;
