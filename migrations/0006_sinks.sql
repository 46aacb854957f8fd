-- Destinations of log lines. `settings`, `filter` and `delivery` are JSON; `secrets` is sealed under a key derived from
-- SIGNING_KEYS (src/logs/deliver/sealed-secrets.ts) and `secret_names` says which there are.
CREATE TABLE sinks (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  settings TEXT NOT NULL,
  secrets TEXT NOT NULL,
  secret_names TEXT NOT NULL,
  filter TEXT NOT NULL,
  delivery TEXT NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (environment_id, name)
) WITHOUT ROWID;
CREATE INDEX sinks_by_environment ON sinks (environment_id, created_at, id);
