-- Node keys that stopped to count (src/fleet/key-revocation.ts). environment_id NULL: in all of them; key_id NULL: under any
-- signing key.
CREATE TABLE key_revocations (
  id TEXT PRIMARY KEY,
  environment_id TEXT,
  key_id INTEGER,
  issued_before_s INTEGER NOT NULL,
  from_s INTEGER NOT NULL,
  over_s INTEGER NOT NULL,
  nodes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX key_revocations_by_environment ON key_revocations (environment_id);

-- Which signing keys the secret SIGNING_KEYS had, and since when. Never the keys themselves: a fingerprint.
CREATE TABLE signing_keys (
  key_id INTEGER PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  is_current INTEGER NOT NULL,
  first_seen_at INTEGER NOT NULL,
  current_since INTEGER,
  replaced_at INTEGER
);

-- Under which signing key a node's newest node key is. NULL: it enrolled before this was noted.
ALTER TABLE nodes ADD COLUMN signing_key_id INTEGER;
