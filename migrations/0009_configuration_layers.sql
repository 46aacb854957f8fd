-- The layers of a version, over its base document; each document once by its hash, however many versions have it.
CREATE TABLE configuration_layers (
  environment_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  -- JSON: {"platform": family}, {"tag": text} or {"nodeSet": name}
  match TEXT NOT NULL,
  document_sha256 TEXT NOT NULL,
  PRIMARY KEY (environment_id, version, position)
) WITHOUT ROWID;

CREATE TABLE configuration_documents (
  environment_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (environment_id, sha256)
);
