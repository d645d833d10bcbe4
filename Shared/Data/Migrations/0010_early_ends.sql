ALTER TABLE experiments
    ADD COLUMN stopped_early boolean NOT NULL DEFAULT false,
    ADD COLUMN ended_at_step integer CHECK (ended_at_step BETWEEN 0 AND total_steps);
