-- How often agents come, where the server says so, as JSON (src/config/intervals.ts). '{}': it does not.
ALTER TABLE environments ADD COLUMN intervals TEXT NOT NULL DEFAULT '{}';
