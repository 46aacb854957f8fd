-- Days that new log lines are kept, by type: {"status":30}. Only the classes of src/logs/retention.ts; a type that is
-- missing is kept for the default, 90 days.
ALTER TABLE environments ADD COLUMN retention TEXT NOT NULL DEFAULT '{}';

-- The last audit row that went into the archive: ids sort by time. Those of before this migration go there too.
ALTER TABLE deployment ADD COLUMN audit_archived TEXT NOT NULL DEFAULT '';
