/**
 * The tables of the Archive object. Steps are append-only (lib/object-schema). Beside `objects`, whose rows are read by
 * the thousand, everything long lies in tables of its own: a BLOB in the middle of a row makes the rest slow to reach.
 */

export const ARCHIVE_SCHEMA = [
  `CREATE TABLE objects (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, type TEXT NOT NULL, hour TEXT NOT NULL,
     bytes INTEGER NOT NULL, line_bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
     first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, nodes TEXT, names TEXT);
   CREATE INDEX objects_by_time ON objects (last_ms, sequence);`,
  // Last in the row and often long: reading the other columns does not touch it.
  'ALTER TABLE objects ADD COLUMN ids BLOB',
  // Compaction. level: 0 as the consumer wrote it, 1 compacted. A swap is named by its number, a sequence: `swap` is the
  // one that made the row, `replaced` the one that made others of it; `seen_from` and `replaced` say who sees the row.
  `CREATE TABLE line_ids (sequence INTEGER PRIMARY KEY, ids BLOB NOT NULL);
   INSERT INTO line_ids SELECT sequence, ids FROM objects WHERE ids IS NOT NULL;
   ALTER TABLE objects DROP COLUMN ids;
   ALTER TABLE objects ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE objects ADD COLUMN added_ms INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE objects ADD COLUMN seen_from INTEGER;
   ALTER TABLE objects ADD COLUMN swap INTEGER;
   ALTER TABLE objects ADD COLUMN replaced INTEGER;
   ALTER TABLE objects ADD COLUMN replaced_ms INTEGER;
   ALTER TABLE objects ADD COLUMN missing_ms INTEGER;
   CREATE INDEX objects_raw ON objects (hour, type, first_ms) WHERE level = 0 AND replaced IS NULL;
   CREATE INDEX objects_replaced ON objects (replaced) WHERE replaced IS NOT NULL;
   CREATE TABLE blocks (sequence INTEGER PRIMARY KEY, directory TEXT NOT NULL, nodes BLOB NOT NULL);
   CREATE TABLE garbage (key TEXT PRIMARY KEY, due_ms INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE followers (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE work (
     id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT, until_ms INTEGER NOT NULL DEFAULT 0,
     last_started_ms INTEGER, last_swap_ms INTEGER, last_failed_ms INTEGER, last_failure TEXT,
     failures INTEGER NOT NULL DEFAULT 0, missing INTEGER NOT NULL DEFAULT 0);
   INSERT INTO work (id) VALUES (1);
   CREATE TABLE erasures (
     id TEXT PRIMARY KEY, node TEXT, requested_ms INTEGER NOT NULL, finished_ms INTEGER, phase TEXT NOT NULL,
     cursor TEXT, lines INTEGER NOT NULL DEFAULT 0, objects INTEGER NOT NULL DEFAULT 0,
     set_aside INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
   CREATE TABLE volumes (
     day TEXT NOT NULL, type TEXT NOT NULL, part INTEGER NOT NULL, tally TEXT NOT NULL,
     PRIMARY KEY (day, type, part)) WITHOUT ROWID;
   CREATE TABLE progress (part INTEGER PRIMARY KEY, state TEXT NOT NULL);
   CREATE TABLE gaps (
     id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, node TEXT NOT NULL, name TEXT NOT NULL,
     epoch INTEGER NOT NULL, from_counter INTEGER, to_counter INTEGER, after_ms INTEGER, before_ms INTEGER NOT NULL);
   CREATE INDEX gaps_by_node ON gaps (node, name, id);
   CREATE TABLE latest (name TEXT NOT NULL, part INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (name, part))
     WITHOUT ROWID;
   CREATE TABLE inspection (
     id INTEGER PRIMARY KEY CHECK (id = 1), started_ms INTEGER, finished_ms INTEGER, cursor TEXT, seen INTEGER,
     orphans INTEGER, healed INTEGER, missing INTEGER);
   INSERT INTO inspection (id) VALUES (1);`,
  // How often in a row a worker died with the lease: the next one takes smaller steps.
  'ALTER TABLE work ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0',
]
