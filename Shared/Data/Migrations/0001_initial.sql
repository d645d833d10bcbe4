CREATE TABLE models (
    id uuid PRIMARY KEY,
    name varchar(200) NOT NULL CHECK (btrim(name) <> ''),
    input_width integer NOT NULL CHECK (input_width BETWEEN 8 AND 224),
    input_height integer NOT NULL CHECK (input_height BETWEEN 8 AND 224),
    input_channels integer NOT NULL CHECK (input_channels IN (1, 3)),
    trainer text NOT NULL,
    next_experiment_number integer NOT NULL CHECK (next_experiment_number >= 1),
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX models_name ON models (lower(name));
CREATE INDEX models_created ON models (created_at, id);

CREATE TABLE packs (
    id uuid PRIMARY KEY,
    blob_hash char(64) NOT NULL UNIQUE,
    length bigint NOT NULL CHECK (length > 0),
    created_at timestamptz NOT NULL
);

CREATE TABLE images (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    pack_id uuid NOT NULL REFERENCES packs,
    pack_offset bigint NOT NULL CHECK (pack_offset >= 0),
    length integer NOT NULL CHECK (length > 0),
    label varchar(200) NOT NULL CHECK (btrim(label) <> ''),
    split text NOT NULL CHECK (split IN ('train', 'validation', 'test')),
    file_name varchar(400) NOT NULL,
    width integer NOT NULL CHECK (width > 0),
    height integer NOT NULL CHECK (height > 0),
    media_type text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (model_id, sha256)
);
CREATE INDEX images_model ON images (model_id, id);
CREATE INDEX images_label ON images (model_id, label, split, id);
CREATE INDEX images_pack ON images (pack_id);

CREATE TABLE data_set_versions (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    hash char(64) NOT NULL,
    manifest_blob char(64) NOT NULL,
    packed_blob char(64),
    classes text[] NOT NULL CHECK (cardinality(classes) >= 2),
    train_count integer NOT NULL CHECK (train_count > 0),
    validation_count integer NOT NULL CHECK (validation_count > 0),
    test_count integer NOT NULL CHECK (test_count >= 0),
    best_experiment_id uuid,
    created_at timestamptz NOT NULL,
    UNIQUE (model_id, hash)
);

CREATE TABLE studies (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    data_set_version_id uuid NOT NULL REFERENCES data_set_versions ON DELETE CASCADE,
    name varchar(200) NOT NULL CHECK (btrim(name) <> ''),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX studies_model ON studies (model_id, created_at, id);
CREATE INDEX studies_data_set_version ON studies (data_set_version_id);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    host text NOT NULL,
    process_id integer NOT NULL,
    version text NOT NULL,
    trainers text[] NOT NULL,
    slots integer NOT NULL CHECK (slots > 0),
    busy_slots integer NOT NULL CHECK (busy_slots BETWEEN 0 AND slots),
    job_engine text NOT NULL,
    torch_engine text,
    started_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    stopped_at timestamptz
);
CREATE INDEX workers_seen ON workers (last_seen_at);

CREATE TABLE trajectories (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    data_set_version_id uuid NOT NULL REFERENCES data_set_versions ON DELETE CASCADE,
    trainer text NOT NULL,
    parameters jsonb NOT NULL,
    fingerprint char(64) NOT NULL UNIQUE,
    status text NOT NULL CHECK (status IN ('idle', 'waiting', 'running')),
    priority integer NOT NULL,
    waiting_since timestamptz,
    fence bigint NOT NULL CHECK (fence >= 0),
    lease_until timestamptz,
    worker_id uuid,
    step integer NOT NULL CHECK (step >= 0),
    epoch double precision NOT NULL,
    steps_per_second double precision NOT NULL,
    loss double precision,
    lost_attempts integer NOT NULL CHECK (lost_attempts >= 0),
    created_at timestamptz NOT NULL,
    CHECK ((status = 'waiting') = (waiting_since IS NOT NULL)),
    CHECK ((status = 'running') = (lease_until IS NOT NULL AND worker_id IS NOT NULL))
);
-- What a claim takes, best first, and what the sweeper looks through.
CREATE INDEX trajectories_waiting ON trajectories (priority DESC, waiting_since) WHERE status = 'waiting';
CREATE INDEX trajectories_leased ON trajectories (lease_until) WHERE status = 'running';
CREATE INDEX trajectories_model ON trajectories (model_id);
CREATE INDEX trajectories_data_set_version ON trajectories (data_set_version_id);

CREATE TABLE experiments (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    study_id uuid NOT NULL REFERENCES studies ON DELETE CASCADE,
    trajectory_id uuid NOT NULL REFERENCES trajectories ON DELETE CASCADE,
    number integer NOT NULL CHECK (number >= 1),
    name varchar(200) NOT NULL CHECK (btrim(name) <> ''),
    status text NOT NULL CHECK (status IN ('draft', 'queued', 'running', 'completed', 'paused', 'cancelled', 'failed', 'pruned')),
    parameters jsonb NOT NULL,
    fingerprint char(64) NOT NULL UNIQUE,
    total_steps integer NOT NULL CHECK (total_steps > 0),
    priority integer NOT NULL,
    accuracy double precision CHECK (accuracy BETWEEN 0 AND 1),
    test_accuracy double precision CHECK (test_accuracy BETWEEN 0 AND 1),
    loss double precision,
    mean_squared_error double precision,
    diverged boolean NOT NULL,
    reproducible boolean NOT NULL,
    weights_blob char(64),
    weights_hash char(64),
    duration_seconds double precision CHECK (duration_seconds >= 0),
    saved_seconds double precision CHECK (saved_seconds >= 0),
    worker text,
    error text,
    created_at timestamptz NOT NULL,
    queued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (model_id, number),
    CHECK (status <> 'completed' OR (accuracy IS NOT NULL AND weights_blob IS NOT NULL AND finished_at IS NOT NULL)),
    CHECK (status <> 'failed' OR error IS NOT NULL)
);
CREATE INDEX experiments_trajectory ON experiments (trajectory_id, total_steps);
CREATE INDEX experiments_study ON experiments (study_id, number);
CREATE INDEX experiments_status ON experiments (model_id, status, number);
CREATE INDEX experiments_accuracy ON experiments (model_id, accuracy DESC, number);

CREATE TABLE attempts (
    id uuid PRIMARY KEY,
    trajectory_id uuid NOT NULL REFERENCES trajectories ON DELETE CASCADE,
    fence bigint NOT NULL,
    worker_id uuid NOT NULL,
    worker_name text NOT NULL,
    from_step integer NOT NULL CHECK (from_step >= 0),
    to_step integer CHECK (to_step >= from_step),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text CHECK (outcome IN ('completed', 'drained', 'failed', 'crashed', 'lost')),
    error text,
    UNIQUE (trajectory_id, fence),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);

CREATE TABLE checkpoints (
    id uuid PRIMARY KEY,
    trajectory_id uuid NOT NULL REFERENCES trajectories ON DELETE CASCADE,
    step integer NOT NULL CHECK (step > 0),
    blob_hash char(64) NOT NULL,
    length bigint NOT NULL CHECK (length > 0),
    train_seconds double precision NOT NULL CHECK (train_seconds >= 0),
    engine text NOT NULL,
    engine_version text NOT NULL,
    device text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (trajectory_id, step)
);
CREATE INDEX checkpoints_blob ON checkpoints (blob_hash);

CREATE TABLE metric_points (
    trajectory_id uuid NOT NULL REFERENCES trajectories ON DELETE CASCADE,
    name text NOT NULL,
    step integer NOT NULL CHECK (step >= 0),
    value double precision NOT NULL,
    PRIMARY KEY (trajectory_id, name, step)
);

CREATE TABLE predictions (
    id uuid PRIMARY KEY,
    model_id uuid NOT NULL REFERENCES models ON DELETE CASCADE,
    experiment_id uuid NOT NULL REFERENCES experiments ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'completed', 'failed')),
    pixels bytea NOT NULL,
    file_name varchar(400) NOT NULL,
    probabilities double precision[],
    error text,
    claimed_until timestamptz,
    attempts integer NOT NULL CHECK (attempts >= 0),
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK (status <> 'completed' OR probabilities IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL)
);
CREATE INDEX predictions_open ON predictions (created_at) WHERE status IN ('waiting', 'running');
CREATE INDEX predictions_model ON predictions (model_id, created_at);
CREATE INDEX predictions_experiment ON predictions (experiment_id);
