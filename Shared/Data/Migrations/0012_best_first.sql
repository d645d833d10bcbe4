-- The best first and those without a result last, as lists and rankings ask for them: negatives ascend.
CREATE INDEX IF NOT EXISTS experiments_best_first ON experiments (model_id, (-accuracy), number);
DROP INDEX IF EXISTS experiments_accuracy;
