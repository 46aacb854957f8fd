-- Where a node stands (src/fleet/standing.ts). A node that waits for approval has pending_since; approved_at stays with one
-- that had to wait. archived_at: unseen for longer than its environment wants. blocked_at: its identity is blocked.
ALTER TABLE nodes ADD COLUMN pending_since INTEGER;
ALTER TABLE nodes ADD COLUMN approved_at INTEGER;
ALTER TABLE nodes ADD COLUMN blocked_at INTEGER;
ALTER TABLE nodes ADD COLUMN archived_at INTEGER;
-- The node that this one was merged into; it is a tombstone then.
ALTER TABLE nodes ADD COLUMN merged_into TEXT;
CREATE INDEX nodes_pending ON nodes (environment_id, ordinal) WHERE pending_since IS NOT NULL;
CREATE INDEX nodes_approved ON nodes (environment_id, ordinal) WHERE approved_at IS NOT NULL;
CREATE INDEX nodes_blocked ON nodes (environment_id, ordinal) WHERE blocked_at IS NOT NULL;
CREATE INDEX nodes_archived ON nodes (environment_id, ordinal) WHERE archived_at IS NOT NULL;
CREATE INDEX nodes_merged ON nodes (environment_id, merged_into) WHERE merged_into IS NOT NULL;

-- 1: nodes that are new wait for approval. Days unseen until a node is archived; 0: never.
ALTER TABLE environments ADD COLUMN approval INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN archive_after_days INTEGER NOT NULL DEFAULT 0;
-- When the nodes of an environment were last compared with presence.
ALTER TABLE environments ADD COLUMN archive_looked_at INTEGER NOT NULL DEFAULT 0;

-- Who is not let in. A block names the identities that a host can have under any identity policy.
CREATE TABLE blocks (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  node_id TEXT,
  hostname TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX blocks_by_time ON blocks (environment_id, created_at);
CREATE TABLE blocked_identities (
  environment_id TEXT NOT NULL,
  identity TEXT NOT NULL,
  block_id TEXT NOT NULL,
  PRIMARY KEY (environment_id, identity, block_id)
) WITHOUT ROWID;
CREATE INDEX blocked_identities_by_block ON blocked_identities (block_id);

-- Identities of nodes that were merged: who enrolls as one of them is that node.
CREATE TABLE node_aliases (
  environment_id TEXT NOT NULL,
  identity TEXT NOT NULL,
  node_id TEXT NOT NULL,
  PRIMARY KEY (environment_id, identity)
) WITHOUT ROWID;
CREATE INDEX node_aliases_by_node ON node_aliases (node_id);
