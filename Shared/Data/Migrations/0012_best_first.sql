-- The best first and those without a result last, as lists and rankings ask for them: negatives ascend. The one by accuracy stays, for filters.
CREATE INDEX IF NOT EXISTS experiments_best_first ON experiments (model_id, (-accuracy), number);
