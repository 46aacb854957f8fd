-- What the server schedules by itself in an environment, as JSON (src/config/built-in.ts). '{}': nothing. It stays so
-- where there are nodes already: an upgrade changes no document that agents hold.
ALTER TABLE environments ADD COLUMN built_in TEXT NOT NULL DEFAULT '{}';
