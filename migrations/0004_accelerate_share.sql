-- The share of an environment's nodes (0 to 1) that may poll fast while operators watch queries.
ALTER TABLE environments ADD COLUMN accelerate_share REAL NOT NULL DEFAULT 0.1;
