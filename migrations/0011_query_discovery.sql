-- A precondition: the query runs only where this SQL gives a row. NULL: everywhere.
ALTER TABLE queries ADD COLUMN discovery TEXT;
