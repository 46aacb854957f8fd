-- GET /audit?environment=… reads one environment's rows, newest first.
CREATE INDEX audit_by_environment ON audit (environment_id, id);
