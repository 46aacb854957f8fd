-- Of which scheduled queries the newest snapshot of each node is kept at hand: names, or patterns with `*`.
CREATE TABLE latest_snapshots (
  environment_id TEXT NOT NULL REFERENCES environments (id),
  pattern TEXT NOT NULL,
  PRIMARY KEY (environment_id, pattern)
) WITHOUT ROWID;
