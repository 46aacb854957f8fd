-- When the newest key of a node was issued, in seconds. Two machines that enroll as one node within a second get different
-- ones, because issue times are what tells their keys apart. 0: before this was noted.
ALTER TABLE nodes ADD COLUMN key_issued_s INTEGER NOT NULL DEFAULT 0;
-- The secret of the last machine that enrolled as this node before another one did. To split them, one has to enroll again.
ALTER TABLE nodes ADD COLUMN other_secret_id TEXT;
