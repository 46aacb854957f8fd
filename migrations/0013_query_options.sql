-- What operators say about a query beside its SQL and its targets.
ALTER TABLE queries ADD COLUMN label TEXT;
-- 1: left out of lists.
ALTER TABLE queries ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queries ADD COLUMN max_rows_per_node INTEGER;
-- The highest ordinal that the targets were looked up for; null: nodes that enroll later are not asked.
ALTER TABLE queries ADD COLUMN late_from INTEGER;
CREATE INDEX queries_with_late_nodes ON queries (environment_id) WHERE late_from IS NOT NULL AND status = 'open';
