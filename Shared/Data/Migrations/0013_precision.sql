-- What was trained before there was a choice was computed in float32; nobody is told, as by the migration of early parameters.
DO $$
BEGIN
    PERFORM set_config('mlexperiments.unnoticed', 'true', true);
    UPDATE experiments SET parameters = '{"precision": "float32"}'::jsonb || parameters
    WHERE NOT parameters ? 'precision';
    PERFORM set_config('mlexperiments.unnoticed', '', true);
END $$;
