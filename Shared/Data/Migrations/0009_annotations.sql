ALTER TABLE experiments
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN notes text;

ALTER TABLE workers ADD COLUMN memory_bytes bigint CHECK (memory_bytes >= 0);
