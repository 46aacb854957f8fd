/** What the first start puts into an empty database. */

import { DEFAULT_BUILT_IN, type BuiltInSettings } from '../config/built-in.ts'
import { DEFAULT_RULES } from '../costs/rules.ts'
import { sha256HexOfText, timeOrderedUuid } from '../lib/bytes.ts'

/** Answer shards of an environment; fixed when it is made, because wire ids name it (design 3). */
export const ANSWER_SHARDS = 4

/** Who made the first rows. */
export const SEEDED_BY = 'npm start'

export interface Seed {
  environmentName: string
  enrollSecret: string
  operatorToken: string
  configurationText: string
  /** What the server schedules by itself. Default: what new environments have. */
  builtIn?: BuiltInSettings
}

/**
 * Makes sure that the environment, its enroll secret and the operator token are there. Idempotent: what exists stays
 * as it is, a configuration above all.
 */
export async function seedFirstEnvironment(db: D1Database, seed: Seed): Promise<void> {
  const nowMs = Date.now()
  const secretHash = await sha256HexOfText(seed.enrollSecret)
  const tokenHash = await sha256HexOfText(seed.operatorToken)
  const configurationHash = await sha256HexOfText(seed.configurationText)
  const detail = JSON.stringify({ name: seed.environmentName, by: 'npm start' })
  await db.batch([
    db
      .prepare(
        `INSERT INTO audit (id, at, actor, action, environment_id, subject, detail)
         SELECT ?2, ?3, 'npm start', 'deployment.seed', NULL, ?1, ?4
         WHERE NOT EXISTS (SELECT 1 FROM environments WHERE name = ?1)`,
      )
      .bind(seed.environmentName, timeOrderedUuid(nowMs), nowMs, detail),
    db
      .prepare(
        `INSERT OR IGNORE INTO environments (id, name, revision, answer_shards, created_at, built_in, cost_rules)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)`,
      )
      .bind(
        crypto.randomUUID(),
        seed.environmentName,
        ANSWER_SHARDS,
        nowMs,
        JSON.stringify(seed.builtIn ?? DEFAULT_BUILT_IN),
        JSON.stringify(DEFAULT_RULES),
      ),
    db
      .prepare(
        `INSERT INTO configurations (environment_id, version, document, sha256, created_at, created_by)
         SELECT id, 1, ?2, ?3, ?4, 'npm start' FROM environments WHERE name = ?1
         AND NOT EXISTS (SELECT 1 FROM configurations WHERE environment_id = environments.id)`,
      )
      .bind(seed.environmentName, seed.configurationText, configurationHash, nowMs),
    db
      .prepare(
        `INSERT INTO enroll_secrets (id, environment_id, name, secret_hash, created_at)
         SELECT ?2, id, 'first', ?3, ?4 FROM environments WHERE name = ?1
         AND NOT EXISTS (SELECT 1 FROM enroll_secrets WHERE secret_hash = ?3)`,
      )
      .bind(seed.environmentName, crypto.randomUUID(), secretHash, nowMs),
    db
      .prepare(
        `INSERT OR IGNORE INTO operator_tokens (id, name, token_hash, created_at, created_by)
         VALUES (?1, 'first', ?2, ?3, 'npm start')`,
      )
      .bind(crypto.randomUUID(), tokenHash, nowMs),
    db.prepare('UPDATE deployment SET revision = revision + 1 WHERE id = 1'),
  ])
}
