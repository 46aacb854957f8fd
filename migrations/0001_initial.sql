-- Control tables (operator-paced) and node tables (fleet-sized) are never joined with each other,
-- so that they can become two databases. Times are milliseconds since 1970 (UTC).

-- One row: the revision of what the whole deployment shares (the directory).
CREATE TABLE deployment (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL
);
INSERT INTO deployment (id, revision) VALUES (1, 1);

CREATE TABLE environments (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  answer_shards INTEGER NOT NULL,
  minimum_issued_at_s INTEGER NOT NULL DEFAULT 0,
  next_query_number INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE enroll_secrets (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL REFERENCES environments (id),
  name TEXT NOT NULL,
  secret_hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX enroll_secrets_by_environment ON enroll_secrets (environment_id);

CREATE TABLE configurations (
  environment_id TEXT NOT NULL REFERENCES environments (id),
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (environment_id, version)
) WITHOUT ROWID;

-- number: dense per environment, never reused (environments.next_query_number), it travels inside wire ids.
CREATE TABLE queries (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL REFERENCES environments (id),
  number INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('query', 'carve')),
  sql TEXT NOT NULL,
  targets TEXT NOT NULL,
  shards INTEGER NOT NULL,
  targeted INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'complete', 'stopped', 'expired')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  closed_at INTEGER,
  erased_at INTEGER,
  created_by TEXT NOT NULL,
  UNIQUE (environment_id, number)
) WITHOUT ROWID;
CREATE INDEX queries_by_time ON queries (environment_id, created_at);
CREATE INDEX queries_open ON queries (environment_id, status) WHERE status = 'open';

-- A query's node set: chunked bitset, 32,768 ordinals a chunk.
CREATE TABLE query_targets (
  environment_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  bits BLOB NOT NULL,
  PRIMARY KEY (environment_id, number, chunk)
) WITHOUT ROWID;

CREATE TABLE carves (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL REFERENCES environments (id),
  node_id TEXT NOT NULL,
  carve_id TEXT,
  session_row_id TEXT,
  query_id TEXT,
  path TEXT,
  status TEXT NOT NULL,
  message TEXT,
  blocks_received INTEGER NOT NULL DEFAULT 0,
  block_count INTEGER,
  block_size INTEGER,
  bytes INTEGER,
  sha256 TEXT,
  file_name TEXT,
  object_key TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX carves_by_carve_id ON carves (environment_id, node_id, carve_id);
CREATE INDEX carves_by_query ON carves (query_id, node_id);
CREATE INDEX carves_by_time ON carves (environment_id, created_at);

CREATE TABLE operator_tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  token_hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL
) WITHOUT ROWID;

-- id sorts by time (UUID version 7).
CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  environment_id TEXT,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
) WITHOUT ROWID;

-- Node tables -------------------------------------------------------------------------------------

-- A deleted node stays as a tombstone (deleted_at), so that max(ordinal) + 1 is never reused.
CREATE TABLE nodes (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  identity TEXT NOT NULL,
  hostname TEXT NOT NULL,
  platform TEXT NOT NULL,
  platform_family TEXT NOT NULL,
  osquery_version TEXT NOT NULL,
  host_identifier TEXT NOT NULL,
  hardware_uuid TEXT NOT NULL,
  hardware_serial TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  host_details TEXT NOT NULL,
  first_enrolled_at INTEGER NOT NULL,
  enrolled_at INTEGER NOT NULL,
  enroll_count INTEGER NOT NULL DEFAULT 1,
  clone_suspected_at INTEGER,
  deleted_at INTEGER,
  UNIQUE (environment_id, ordinal)
) WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_by_identity ON nodes (environment_id, identity) WHERE deleted_at IS NULL;
CREATE INDEX nodes_by_hostname ON nodes (environment_id, hostname);
CREATE INDEX nodes_deleted ON nodes (environment_id, ordinal) WHERE deleted_at IS NOT NULL;

CREATE TABLE node_tags (
  environment_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  PRIMARY KEY (environment_id, node_id, tag)
) WITHOUT ROWID;
CREATE INDEX node_tags_by_tag ON node_tags (environment_id, tag);
