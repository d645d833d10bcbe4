ALTER TABLE experiments
    ADD COLUMN stopped_early boolean NOT NULL DEFAULT false,
    ADD COLUMN ended_at_step integer CHECK (ended_at_step BETWEEN 0 AND total_steps);

-- What was trained before there were these parameters was trained with their defaults: it is sorted, filtered and grouped with the rest. That
-- changes nothing that people watch.
ALTER TABLE experiments DISABLE TRIGGER experiments_changed;
UPDATE experiments SET parameters = '{"schedule": "constant", "decayEvery": 1000, "decayFactor": 0.5, "warmUpSteps": 0, "augmentShift": 0,
    "augmentRotate": 0, "augmentScale": 0, "classWeights": "none", "patience": 0, "patienceMetric": "loss"}'::jsonb || parameters;
ALTER TABLE experiments ENABLE TRIGGER experiments_changed;
