-- Rules of enroll secrets. Times are milliseconds since 1970; rules: JSON, see src/fleet/enroll-rules.ts.
ALTER TABLE enroll_secrets ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE enroll_secrets ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
ALTER TABLE enroll_secrets ADD COLUMN expires_at INTEGER;
ALTER TABLE enroll_secrets ADD COLUMN revoked_at INTEGER;
-- How many serials it is for; 0: for any.
ALTER TABLE enroll_secrets ADD COLUMN serial_count INTEGER NOT NULL DEFAULT 0;
-- Rotation: the secret that this one follows, and the first of that line, whose quota they share. NULL: itself.
ALTER TABLE enroll_secrets ADD COLUMN predecessor_id TEXT;
ALTER TABLE enroll_secrets ADD COLUMN quota_group TEXT;
-- Totals since ever, written each minute at most (src/snapshot/directory.ts).
ALTER TABLE enroll_secrets ADD COLUMN enroll_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE enroll_secrets ADD COLUMN refused_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE enroll_secrets ADD COLUMN last_used_at INTEGER;
ALTER TABLE enroll_secrets ADD COLUMN last_refused_at INTEGER;

-- Node tables -------------------------------------------------------------------------------------
-- All that enroll's one statement reads is here, beside the nodes.

-- The secret of the newest enroll; the line of secrets whose quota this node uses; the tags that the newest enroll gave.
ALTER TABLE nodes ADD COLUMN enroll_secret_id TEXT;
ALTER TABLE nodes ADD COLUMN admitted_by TEXT;
ALTER TABLE nodes ADD COLUMN enroll_tags TEXT NOT NULL DEFAULT '[]';

-- The serials that a secret is for, lower case: thousands of them, so they are not in the directory.
CREATE TABLE enroll_serials (
  secret_id TEXT NOT NULL,
  serial TEXT NOT NULL,
  PRIMARY KEY (secret_id, serial)
) WITHOUT ROWID;

-- How many nodes each line of secrets let in and has there still: what quotas are compared with.
CREATE TABLE enroll_admissions (
  quota_group TEXT PRIMARY KEY,
  nodes INTEGER NOT NULL
) WITHOUT ROWID;

-- Environments in which enrolls gave tags that their snapshot does not know of yet.
CREATE TABLE enroll_tagged (
  environment_id TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TRIGGER nodes_admitted AFTER INSERT ON nodes WHEN NEW.admitted_by IS NOT NULL
BEGIN
  INSERT INTO enroll_admissions (quota_group, nodes) VALUES (NEW.admitted_by, 1)
    ON CONFLICT (quota_group) DO UPDATE SET nodes = nodes + 1;
END;

-- A deleted node gives its place back; it takes a new one when it returns.
CREATE TRIGGER nodes_admission_ends AFTER UPDATE OF deleted_at ON nodes
WHEN NEW.admitted_by IS NOT NULL AND (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)
BEGIN
  UPDATE enroll_admissions SET nodes = nodes + CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END
    WHERE quota_group = NEW.admitted_by;
END;

CREATE TRIGGER nodes_tagged_first AFTER INSERT ON nodes WHEN NEW.enroll_tags <> '[]'
BEGIN
  INSERT INTO node_tags (environment_id, node_id, tag)
    SELECT NEW.environment_id, NEW.id, value FROM json_each(NEW.enroll_tags) WHERE true ON CONFLICT DO NOTHING;
  INSERT INTO enroll_tagged (environment_id) VALUES (NEW.environment_id) ON CONFLICT DO NOTHING;
END;

-- Enrolled anew with other tags: those that are new are given. What an operator took away from it stays away.
CREATE TRIGGER nodes_tagged_anew AFTER UPDATE OF enroll_tags ON nodes WHEN NEW.enroll_tags <> OLD.enroll_tags
BEGIN
  INSERT INTO node_tags (environment_id, node_id, tag)
    SELECT NEW.environment_id, NEW.id, value FROM json_each(NEW.enroll_tags)
    WHERE value NOT IN (SELECT value FROM json_each(OLD.enroll_tags)) ON CONFLICT DO NOTHING;
  INSERT INTO enroll_tagged (environment_id) VALUES (NEW.environment_id) ON CONFLICT DO NOTHING;
END;
