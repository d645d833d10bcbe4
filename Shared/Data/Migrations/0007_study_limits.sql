ALTER TABLE studies
    ADD COLUMN seconds_limit integer CHECK (seconds_limit >= 1),
    ADD COLUMN failures_limit integer CHECK (failures_limit >= 1),
    ADD COLUMN stopped_at timestamptz,
    ADD COLUMN stop_reason text,
    ADD CHECK ((stopped_at IS NULL) = (stop_reason IS NULL));
CREATE INDEX studies_limited ON studies (id) WHERE stopped_at IS NULL AND (seconds_limit IS NOT NULL OR failures_limit IS NOT NULL);
