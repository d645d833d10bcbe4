-- Apart from experiments, whose lists need not read it.
CREATE TABLE experiment_classes (
    experiment_id uuid PRIMARY KEY REFERENCES experiments ON DELETE CASCADE,
    validation jsonb NOT NULL,
    test jsonb
);
