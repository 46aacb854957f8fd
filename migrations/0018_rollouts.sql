-- The version for nodes that are in no rollout. NULL: the newest, as it was before there were rollouts.
ALTER TABLE environments ADD COLUMN stable_version INTEGER;

-- A version on its way to all nodes (src/fleet/rollout.ts). Times in milliseconds.
CREATE TABLE rollouts (
  id TEXT PRIMARY KEY,
  environment_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  -- What others get meanwhile, and members again where it is taken back.
  stable_version INTEGER NOT NULL,
  -- JSON: canary, steps, gates and what follows from them; fixed from the start on.
  plan TEXT NOT NULL,
  -- JSON: what members may hold of the version, as [pointer, platform or ''].
  held TEXT NOT NULL,
  state TEXT NOT NULL,
  step INTEGER NOT NULL,
  step_since INTEGER NOT NULL,
  -- Time of the step that was over when it was paused.
  step_spent INTEGER NOT NULL DEFAULT 0,
  -- 1: members get the version.
  served INTEGER NOT NULL,
  -- Raised by each change: who decided on an older one changes nothing.
  turn INTEGER NOT NULL,
  -- The cron looks at it from then on. NULL: only operators move it.
  due_at INTEGER,
  -- JSON: what the gates said last, and when.
  gates TEXT,
  -- JSON: why it was halted.
  reason TEXT,
  -- 1: it was taken back, and members may hold options of it still.
  clearing INTEGER NOT NULL DEFAULT 0,
  message TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  ended_at INTEGER
);
CREATE UNIQUE INDEX rollouts_under_way ON rollouts (environment_id) WHERE ended_at IS NULL;
CREATE INDEX rollouts_by_environment ON rollouts (environment_id, created_at, id);
CREATE INDEX rollouts_clearing ON rollouts (environment_id) WHERE clearing = 1;
CREATE INDEX rollouts_due ON rollouts (due_at) WHERE due_at IS NOT NULL;

-- Who was ever given the version: sets of ordinals in chunks, as in node_set_chunks.
CREATE TABLE rollout_members (
  rollout_id TEXT NOT NULL,
  chunk INTEGER NOT NULL,
  bits BLOB NOT NULL,
  PRIMARY KEY (rollout_id, chunk)
) WITHOUT ROWID;
