-- Who changes what nobody watches says so in this setting: it is no change then, and nobody is told.
CREATE OR REPLACE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('mlexperiments.unnoticed', true) = 'true' THEN
        RETURN NEW;
    END IF;
    NEW.changed_at := clock_timestamp();
    PERFORM pg_notify('experiments_changed', NEW.model_id::text);
    RETURN NEW;
END $$;

-- What was trained before there were these parameters was trained with their defaults: it is sorted, filtered and grouped with the rest.
DO $$
BEGIN
    PERFORM set_config('mlexperiments.unnoticed', 'true', true);
    UPDATE experiments SET parameters = '{"schedule": "constant", "decayEvery": 1000, "decayFactor": 0.5, "warmUpSteps": 0, "augmentShift": 0,
        "augmentRotate": 0, "augmentScale": 0, "classWeights": "none", "patience": 0, "patienceMetric": "loss"}'::jsonb || parameters
    WHERE NOT parameters ? 'patienceMetric';
    PERFORM set_config('mlexperiments.unnoticed', '', true);
END $$;
