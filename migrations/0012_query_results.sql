-- Where the results of a closed query are (src/db/query-results.ts): 0 in its answer shards, which do not know yet that it is
-- closed; 1 they know, and move them to R2; 2 they are being erased, because their time is over; 3 erased.
ALTER TABLE queries ADD COLUMN results_stage INTEGER NOT NULL DEFAULT 0;
-- JSON: what became of its nodes (src/queries/answer.ts), kept when the results are erased.
ALTER TABLE queries ADD COLUMN final_counts TEXT;
ALTER TABLE queries ADD COLUMN results_erased_at INTEGER;
CREATE INDEX queries_by_results ON queries (environment_id, results_stage, closed_at) WHERE closed_at IS NOT NULL;
-- Days that results of live queries stay after the query closed.
ALTER TABLE environments ADD COLUMN results_retention_days INTEGER NOT NULL DEFAULT 30;
