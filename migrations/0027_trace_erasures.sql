-- NULL: rows that an erasure covers are still being deleted (src/db/trace-erasures.ts); nobody is shown them any more.
ALTER TABLE trace_erasures ADD COLUMN finished_at INTEGER;
CREATE INDEX trace_erasures_open ON trace_erasures (environment_id) WHERE finished_at IS NULL;

-- A node that is deleted, in whatever way, has what it had until then.
CREATE TRIGGER node_traces_of_deleted AFTER UPDATE OF deleted_at ON nodes
WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL
BEGIN
  UPDATE node_traces SET to_at = MAX(from_at, NEW.deleted_at)
  WHERE environment_id = NEW.environment_id AND ordinal = NEW.ordinal AND to_at IS NULL;
END;
