ALTER TABLE studies
    ADD COLUMN running_limit integer CHECK (running_limit BETWEEN 1 AND 1000),
    -- As it was written: a clone tries the values in the same order.
    ALTER COLUMN definition TYPE json;

-- The studies of which no more trajectories may train for now. Claims, tickets and the reason for waiting go by this one definition.
CREATE VIEW full_studies AS
SELECT studies.id
FROM trajectories
JOIN experiments ON experiments.trajectory_id = trajectories.id AND experiments.status IN ('queued', 'running')
JOIN studies ON studies.id = experiments.study_id AND studies.running_limit IS NOT NULL
WHERE trajectories.status = 'running'
GROUP BY studies.id
HAVING count(DISTINCT trajectories.id) >= studies.running_limit;

-- The list across models, newest first.
CREATE INDEX experiments_created ON experiments (created_at DESC, id);

ALTER TABLE predictions ADD COLUMN batch_id uuid;
CREATE INDEX predictions_batch ON predictions (batch_id, id) WHERE batch_id IS NOT NULL;

-- The newest of a model says which experiment predicts; null is the best one. Rolling it back leads to the one numbered previous: 0 is the time
-- before the first one, null that there is nothing before.
CREATE TABLE predictor_choices (
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    number integer NOT NULL CHECK (number >= 1),
    experiment_id uuid REFERENCES experiments ON DELETE SET NULL,
    action text NOT NULL CHECK (action IN ('chosen', 'followedbest', 'rolledback')),
    previous integer CHECK (previous >= 0 AND previous < number),
    chosen_at timestamptz NOT NULL,
    PRIMARY KEY (model_id, number)
);
CREATE INDEX predictor_choices_experiment ON predictor_choices (experiment_id);

-- A request that is under way has a lease, one that is answered a status.
CREATE TABLE idempotency_keys (
    key varchar(255) NOT NULL,
    path text NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    owner uuid NOT NULL,
    lease_until timestamptz,
    status integer,
    content_type text,
    location text,
    -- gzip
    body bytea,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key, path),
    CHECK ((status IS NULL) = (lease_until IS NOT NULL))
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
