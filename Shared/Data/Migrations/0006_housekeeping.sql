ALTER TABLE packs ADD COLUMN unused_since timestamptz;
CREATE INDEX predictions_finished ON predictions (finished_at) WHERE finished_at IS NOT NULL;
-- Housekeeping asks which of a thousand files some row names.
CREATE INDEX experiments_weights ON experiments (weights_blob) WHERE weights_blob IS NOT NULL;
