-- Whom to tell when a query is over. Due: the next try; null: there is none, it was told or nobody could be.
ALTER TABLE queries ADD COLUMN webhook_url TEXT;
ALTER TABLE queries ADD COLUMN webhook_secrets TEXT;
ALTER TABLE queries ADD COLUMN webhook_origin TEXT;
ALTER TABLE queries ADD COLUMN webhook_due_at INTEGER;
ALTER TABLE queries ADD COLUMN webhook_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queries ADD COLUMN webhook_error TEXT;
ALTER TABLE queries ADD COLUMN webhook_delivered_at INTEGER;
CREATE INDEX queries_with_webhooks ON queries (webhook_due_at) WHERE webhook_due_at IS NOT NULL;
