-- Saved node sets: names for bitsets of ordinals, that targets may use.
CREATE TABLE node_sets (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX node_sets_by_name ON node_sets (environment_id, name);

-- As query_targets: 32,768 ordinals a row.
CREATE TABLE node_set_chunks (
  node_set_id TEXT NOT NULL,
  chunk INTEGER NOT NULL,
  bits BLOB NOT NULL,
  PRIMARY KEY (node_set_id, chunk)
) WITHOUT ROWID;
