/** What the Directory object knows of enrolls: totals by secret, and what became of them by minute. */

import { utf8 } from '../lib/bytes.ts'

/** Enrolls of one minute that came to the same. */
export interface EnrollCount {
  /** Minutes since 1970. */
  minute: number
  /** '' where nothing told which it was for. */
  environmentId: string
  /** '' where no secret was known. */
  secretId: string
  /** `enrolled`, or why not: `wrong-secret`, `revoked`, or the rule's name. */
  outcome: string
  count: number
  lastAtMs: number
}

/** Since ever, of one secret. Times are 0 where it never was. */
export interface SecretTotals {
  secretId: string
  enrolled: number
  refused: number
  lastUsedAtMs: number
  lastRefusedAtMs: number
}

/** What became of the enrolls of an environment within one minute. */
export interface EnrollAttempts {
  minute: number
  outcome: string
  count: number
}

export const ENROLLED = 'enrolled'

/** Steps of the Directory object's schema. */
export const ENROLL_COUNTS_SCHEMA = `
  CREATE TABLE enroll_totals (secret_id TEXT PRIMARY KEY, enrolled INTEGER NOT NULL, refused INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL, last_refused_at INTEGER NOT NULL, is_new INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX enroll_totals_new ON enroll_totals (secret_id) WHERE is_new = 1;
  CREATE TABLE enroll_attempts (environment_id TEXT NOT NULL, minute INTEGER NOT NULL, outcome TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (environment_id, minute, outcome)) WITHOUT ROWID;
  CREATE INDEX enroll_attempts_by_time ON enroll_attempts (minute);`

/** For how long minutes are kept. */
export const ATTEMPTS_KEPT_MINUTES = 7 * 24 * 60
/** An outcome is a rule's name; nothing of what an agent sent goes in. */
const MAX_OUTCOME_BYTES = 40

export class EnrollCounts {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  add(counts: readonly EnrollCount[]): void {
    for (const count of counts) {
      if (utf8(count.outcome).length > MAX_OUTCOME_BYTES) continue
      this.#sql.exec(
        `INSERT INTO enroll_attempts (environment_id, minute, outcome, count) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (environment_id, minute, outcome) DO UPDATE SET count = count + excluded.count`,
        count.environmentId,
        count.minute,
        count.outcome,
        count.count,
      )
      if (count.secretId !== '') this.#addToTotals(count)
    }
  }

  #addToTotals({ secretId, outcome, count, lastAtMs }: EnrollCount): void {
    const isIn = outcome === ENROLLED
    this.#sql.exec(
      `INSERT INTO enroll_totals (secret_id, enrolled, refused, last_used_at, last_refused_at, is_new)
       VALUES (?1, ?2, ?3, ?4, ?5, 1)
       ON CONFLICT (secret_id) DO UPDATE SET enrolled = enrolled + excluded.enrolled,
         refused = refused + excluded.refused, last_used_at = MAX(last_used_at, excluded.last_used_at),
         last_refused_at = MAX(last_refused_at, excluded.last_refused_at), is_new = 1`,
      secretId,
      isIn ? count : 0,
      isIn ? 0 : count,
      isIn ? lastAtMs : 0,
      isIn ? 0 : lastAtMs,
    )
  }

  /** Totals that D1 was not told yet. */
  newTotals(limit: number): SecretTotals[] {
    return this.#sql
      .exec<SecretTotals & Record<string, SqlStorageValue>>(
        `SELECT secret_id AS secretId, enrolled, refused, last_used_at AS lastUsedAtMs,
           last_refused_at AS lastRefusedAtMs FROM enroll_totals WHERE is_new = 1 LIMIT ?`,
        limit,
      )
      .toArray()
  }

  /** Notes that D1 was told; what was counted since then is still new. */
  markTold(totals: readonly SecretTotals[]): void {
    for (const { secretId, enrolled, refused } of totals) {
      this.#sql.exec(
        'UPDATE enroll_totals SET is_new = 0 WHERE secret_id = ? AND enrolled = ? AND refused = ?',
        secretId,
        enrolled,
        refused,
      )
    }
  }

  /** By minute, newest first. */
  attempts(environmentId: string, sinceMinute: number, limit: number): EnrollAttempts[] {
    return this.#sql
      .exec<EnrollAttempts & Record<string, SqlStorageValue>>(
        `SELECT minute, outcome, count FROM enroll_attempts WHERE environment_id = ? AND minute >= ?
         ORDER BY minute DESC, outcome LIMIT ?`,
        environmentId,
        sinceMinute,
        limit,
      )
      .toArray()
  }

  forgetBefore(minute: number): void {
    this.#sql.exec('DELETE FROM enroll_attempts WHERE minute < ?', minute)
  }
}
