-- Scheduled queries that are left out of the documents of agents until an operator resumes them (src/config/paused.ts).
-- name: as log lines carry it. resumed_at: NULL while it is paused; a row stays, so that who pauses by himself
-- knows how long ago it was resumed.
CREATE TABLE paused_queries (
  environment_id TEXT NOT NULL,
  name TEXT NOT NULL,
  paused_at INTEGER NOT NULL,
  paused_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  resumed_at INTEGER,
  PRIMARY KEY (environment_id, name)
) WITHOUT ROWID;

-- What scheduled queries may cost, and when they are paused, as JSON (src/costs/rules.ts). '{}': no budget, no pausing.
ALTER TABLE environments ADD COLUMN cost_rules TEXT NOT NULL DEFAULT '{}';
-- When the cron duty last looked at the environment's costs, in Unix milliseconds.
ALTER TABLE environments ADD COLUMN costs_looked_at INTEGER NOT NULL DEFAULT 0;
