ALTER TABLE models
    ADD COLUMN notes text CHECK (char_length(notes) BETWEEN 1 AND 10000),
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 20),
    ADD COLUMN archived_at timestamptz,
    -- Counts the changes of the model's images; the hash is that of the images at hashed_revision, null where they can't be trained on.
    ADD COLUMN images_revision bigint NOT NULL DEFAULT 0 CHECK (images_revision >= 0),
    ADD COLUMN hashed_revision bigint CHECK (hashed_revision BETWEEN 0 AND images_revision),
    ADD COLUMN data_set_hash char(64) CHECK (data_set_hash IS NULL OR hashed_revision IS NOT NULL);
