-- A carve can be asked for by the id that its upload had before an operator's request took it over.
CREATE INDEX carves_by_session_row ON carves (session_row_id) WHERE session_row_id IS NOT NULL;
