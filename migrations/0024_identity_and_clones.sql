-- Which machine is which node. Times are milliseconds since 1970.

-- JSON, see src/fleet/identity-policy.ts. rekey_from: from which ordinal on nodes still have to get their identity under
-- it; NULL: none.
ALTER TABLE environments ADD COLUMN identity_policy TEXT NOT NULL DEFAULT '{}';
ALTER TABLE environments ADD COLUMN rekey_from INTEGER;
-- What is done with machines that turn out to share one node: 'split' or 'flag'.
ALTER TABLE environments ADD COLUMN clones TEXT NOT NULL DEFAULT 'split';

-- Node tables -------------------------------------------------------------------------------------

-- clones: what came of machines that share this node: NULL, 'split' (told apart), 'flagged' (only known), 'joined' (an
-- operator says that they are one). split_by: what tells them apart since, 'instance' (its id) or 'host' (that and the
-- host identifier); NULL: nothing, who has the identity is this node. clone_of: the node that this one was split from.
ALTER TABLE nodes ADD COLUMN clone_of TEXT;
ALTER TABLE nodes ADD COLUMN clones TEXT;
ALTER TABLE nodes ADD COLUMN clones_found_at INTEGER;
ALTER TABLE nodes ADD COLUMN clones_evidence TEXT;
ALTER TABLE nodes ADD COLUMN split_by TEXT;
ALTER TABLE nodes ADD COLUMN split_count INTEGER NOT NULL DEFAULT 0;
-- Keys of this node that were issued before this second are another machine's.
ALTER TABLE nodes ADD COLUMN key_minimum_s INTEGER NOT NULL DEFAULT 0;
-- Enrolls that were answered without asking D1, because the host does nothing else (src/agent/enroll-damper.ts).
ALTER TABLE nodes ADD COLUMN damped_enrolls INTEGER NOT NULL DEFAULT 0;

-- All of them few: they cost nothing where no machine was cloned.
CREATE INDEX nodes_superseded ON nodes (environment_id, ordinal) WHERE key_minimum_s > 0;
CREATE INDEX nodes_of_clones ON nodes (environment_id, ordinal)
  WHERE clone_of IS NOT NULL OR clones IS NOT NULL OR clone_suspected_at IS NOT NULL;
CREATE INDEX nodes_split ON nodes (environment_id, instance_id) WHERE split_by = 'host' AND deleted_at IS NULL;
