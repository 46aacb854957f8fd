-- As in 0027, by the index of a node's traces: without statistics SQLite would walk through those of the whole environment.
DROP TRIGGER node_traces_of_deleted;
CREATE TRIGGER node_traces_of_deleted AFTER UPDATE OF deleted_at ON nodes
WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL
BEGIN
  UPDATE node_traces SET to_at = MAX(from_at, NEW.deleted_at)
  WHERE (environment_id, kind, value, ordinal, from_at) IN (
    SELECT environment_id, kind, value, ordinal, from_at FROM node_traces INDEXED BY node_traces_by_node
    WHERE environment_id = NEW.environment_id AND ordinal = NEW.ordinal AND to_at IS NULL);
END;
