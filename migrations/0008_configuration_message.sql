-- What an operator says about a version, for those who read the history.
ALTER TABLE configurations ADD COLUMN message TEXT NOT NULL DEFAULT '';
