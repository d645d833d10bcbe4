ALTER TABLE experiments
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN notes text;
