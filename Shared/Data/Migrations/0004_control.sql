ALTER TABLE experiments
    ADD COLUMN start_at timestamptz,
    ADD COLUMN stopped_at_step integer CHECK (stopped_at_step >= 0),
    ADD COLUMN adjustment jsonb;

ALTER TABLE trajectories
    ADD COLUMN start_at timestamptz,
    ADD COLUMN control bigint NOT NULL DEFAULT 0,
    ADD COLUMN parent_id uuid REFERENCES trajectories ON DELETE SET NULL,
    ADD COLUMN forked_at_step integer CHECK (forked_at_step > 0);
CREATE INDEX trajectories_parent ON trajectories (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE attempts
    DROP CONSTRAINT attempts_outcome_check,
    ADD CONSTRAINT attempts_outcome_check CHECK (outcome IN ('completed', 'stopped', 'drained', 'failed', 'crashed', 'lost'));
