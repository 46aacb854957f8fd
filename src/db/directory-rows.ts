/** What the directory is compiled from: one D1 batch, so that what is read belongs together. */

import type { StoredIdentityPolicy } from '../fleet/identity-policy.ts'
import type { SecretRules } from '../fleet/enroll-rules.ts'
import type { Directory, DirectoryEnvironment, DirectorySecret } from '../snapshot/head.ts'
import { rowsOf } from './snapshot-rows.ts'

export type DirectoryRows = Omit<Directory, 'format'>

interface EnvironmentRow {
  id: string
  name: string
  /** 1: who is new there waits for approval. */
  approval: number
  /** JSON. */
  identityPolicy: string
}

interface SecretRow {
  hash: string
  environmentId: string
  id: string
  /** JSON. */
  rules: string
  expiresAtMs: number | null
  quotaGroup: string | null
  serialCount: number
}

const ENVIRONMENTS = `SELECT id, name, approval, identity_policy AS identityPolicy FROM environments
  ORDER BY id`
/** For so long an expired secret is still known for what it was; after that it is none, and the directory stays small. */
export const ENDED_KNOWN_FOR_S = 30 * 86_400

const SECRETS = `SELECT secret_hash AS hash, environment_id AS environmentId, id, rules,
  expires_at AS expiresAtMs, quota_group AS quotaGroup, serial_count AS serialCount
  FROM enroll_secrets WHERE revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > (unixepoch() - ${ENDED_KNOWN_FOR_S}) * 1000) ORDER BY id`
// Of those that were revoked, the newest: who still comes with an older one has a secret that nobody knows.
const REVOKED = `SELECT secret_hash AS hash, environment_id AS environmentId, id FROM enroll_secrets
  WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, id LIMIT 1000`

const RETIRED_KEYS = `SELECT DISTINCT key_id AS keyId FROM key_revocations
  WHERE environment_id IS NULL AND key_id IS NOT NULL ORDER BY key_id`

/** What the whole deployment shares. */
export async function readDirectoryRows(db: D1Database): Promise<DirectoryRows> {
  const results = await db.batch([
    db.prepare('SELECT revision FROM deployment WHERE id = 1'),
    db.prepare(ENVIRONMENTS),
    db.prepare(SECRETS),
    db.prepare(REVOKED),
    db.prepare(RETIRED_KEYS),
  ])
  const retiredKeyIds = rowsOf<{ keyId: number }>(results[4]).map(({ keyId }) => keyId)
  return {
    revision: rowsOf<{ revision: number }>(results[0])[0]?.revision ?? 0,
    environments: rowsOf<EnvironmentRow>(results[1]).map(environmentOf),
    secrets: rowsOf<SecretRow>(results[2]).map(secretOf),
    revokedSecrets: rowsOf<DirectorySecret>(results[3]),
    ...(retiredKeyIds.length === 0 ? {} : { retiredKeyIds }),
  }
}

/** Beside id and name: only what differs from the default, so that the directory stays small. */
function environmentOf({ id, name, approval, identityPolicy }: EnvironmentRow): DirectoryEnvironment {
  return {
    id,
    name,
    ...(approval === 0 ? {} : { approval: true as const }),
    ...(identityPolicy === '{}' ? {} : { identity: JSON.parse(identityPolicy) as StoredIdentityPolicy }),
  }
}

function secretOf(row: SecretRow): DirectorySecret {
  const { hash, environmentId, id, expiresAtMs, quotaGroup, serialCount } = row
  const rules: SecretRules = {
    ...(JSON.parse(row.rules) as SecretRules),
    ...(expiresAtMs === null ? {} : { expiresAtMs }),
    ...(quotaGroup === null ? {} : { quotaGroup }),
    ...(serialCount === 0 ? {} : { hasSerials: true }),
  }
  return { hash, environmentId, id, ...(Object.keys(rules).length === 0 ? {} : { rules }) }
}
