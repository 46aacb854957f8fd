-- What nodes were seen with, and from when to when. kind: `public` (the address that requests come from), `interface` (an
-- address of its own), `mac`, `user`. Addresses as texts that sort (src/lib/ip-address.ts). to_at NULL: still.
CREATE TABLE node_traces (
  environment_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  from_at INTEGER NOT NULL,
  to_at INTEGER,
  PRIMARY KEY (environment_id, kind, value, ordinal, from_at)
) WITHOUT ROWID;
CREATE INDEX node_traces_by_node ON node_traces (environment_id, ordinal);
CREATE INDEX node_traces_ended ON node_traces (environment_id, to_at) WHERE to_at IS NOT NULL;

-- What was seen until then was erased, and does not come back from what is on its way. ordinal -1: all nodes.
CREATE TABLE trace_erasures (
  environment_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  until_at INTEGER NOT NULL,
  PRIMARY KEY (environment_id, ordinal)
) WITHOUT ROWID;

-- Days that what nodes were seen with is kept after it ended.
ALTER TABLE environments ADD COLUMN traces_retention_days INTEGER NOT NULL DEFAULT 90;

-- JSON: by table, when the daily snapshot was received that last changed this row (src/db/inventory.ts).
ALTER TABLE nodes ADD COLUMN inventory_at TEXT NOT NULL DEFAULT '{}';
-- Another hardware UUID than the node enrolled with, that its snapshot told; empty: none. Enroll decides who a node is.
ALTER TABLE nodes ADD COLUMN hardware_uuid_seen TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN hardware_uuid_seen_at INTEGER;
