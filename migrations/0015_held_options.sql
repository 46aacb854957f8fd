-- What nodes may hold of versions that are not the newest any more: options and keys that agents keep until they restart
-- (src/config/held.ts). platform: the family whose layer set it, or '' for any node.
CREATE TABLE held_options (
  environment_id TEXT NOT NULL,
  pointer TEXT NOT NULL,
  platform TEXT NOT NULL,
  PRIMARY KEY (environment_id, pointer, platform)
) WITHOUT ROWID;

-- From history. First the documents themselves: base documents, those of layers, and the packs inside of both.
CREATE TABLE held_options_documents (environment_id TEXT NOT NULL, platform TEXT NOT NULL, document TEXT NOT NULL);
INSERT INTO held_options_documents
  SELECT environment_id, '', document FROM configurations
  WHERE json_valid(document) AND json_type(document) = 'object';
INSERT INTO held_options_documents
  SELECT DISTINCT l.environment_id, COALESCE(json_extract(l.match, '$.platform'), ''), d.document
  FROM configuration_layers AS l JOIN configuration_documents AS d
    ON d.environment_id = l.environment_id AND d.sha256 = l.document_sha256
  WHERE json_valid(d.document) AND json_type(d.document) = 'object';
INSERT INTO held_options_documents
  SELECT d.environment_id, d.platform, p.value
  FROM held_options_documents AS d, json_each(d.document, '$.packs') AS p WHERE p.type = 'object';
-- A pack called * holds packs.
INSERT INTO held_options_documents
  SELECT d.environment_id, d.platform, p.value
  FROM held_options_documents AS d, json_each(d.document, '$.packs."*"') AS p WHERE p.type = 'object';

INSERT OR IGNORE INTO held_options
  SELECT d.environment_id, '/' || k.key || '/' || replace(replace(m.key, '~', '~0'), '/', '~1'), d.platform
  FROM held_options_documents AS d, json_each(d.document) AS k,
    json_each(CASE k.type WHEN 'object' THEN k.value ELSE '{}' END) AS m
  WHERE k.key IN ('options', 'exclude_paths') AND k.type = 'object' AND m.type <> 'null' AND m.value <> ''
    AND m.value NOT IN ('[]', '{}');
INSERT OR IGNORE INTO held_options
  SELECT d.environment_id, '/' || k.key, d.platform
  FROM held_options_documents AS d, json_each(d.document) AS k
  WHERE k.key IN ('views', 'auto_table_construction', 'events', 'feature_vectors', 'kafka_topics', 'logger',
    'prometheus_targets', 'yara') AND k.type IN ('object', 'array') AND k.value NOT IN ('[]', '{}');

DROP TABLE held_options_documents;
