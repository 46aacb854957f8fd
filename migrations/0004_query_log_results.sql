-- Whether a live query's results go into the archive as log lines of type `query`, and from there to sinks.
ALTER TABLE queries ADD COLUMN log_results INTEGER NOT NULL DEFAULT 1;
