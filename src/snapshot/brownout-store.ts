/**
 * What the Directory object keeps beside what D1 says, so that a fleet can be browned out with D1 away: the switches, the
 * audit rows that D1 has not got yet, and who may turn the switch.
 */

import { timeOrderedUuid } from '../lib/bytes.ts'
import { activeOf, following, NO_BROWNOUT, type Brownout, type BrownoutState } from '../fleet/brownout.ts'
import type { AuditNote } from '../db/late-audit.ts'
import type { Directory } from './head.ts'

/** Operators as far as D1 was asked last: the hashes of their tokens, never in the directory's document or its copy. */
export const BROWNOUT_SCHEMA = `
  CREATE TABLE brownouts (scope TEXT PRIMARY KEY, sequence INTEGER NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE late_audit (id INTEGER PRIMARY KEY, json TEXT NOT NULL, tried TEXT NOT NULL DEFAULT '[]');
  CREATE TABLE operators (token_hash TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;`

/** The scope of the whole deployment. */
const DEPLOYMENT = ''

export interface LateAudit {
  id: number
  note: AuditNote
  /** Ids under which D1 may have it already: a reply was lost. */
  tried: string[]
}

export class BrownoutStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Turns a switch and notes who did, in one transaction (an object's writes without an await between are one). */
  set(environmentId: string | null, brownout: Brownout, note: AuditNote): void {
    const scope = environmentId ?? DEPLOYMENT
    const before = this.#switches([scope]).get(scope)?.brownout ?? null
    this.#sql.exec(
      `INSERT OR REPLACE INTO brownouts (scope, sequence, json)
       VALUES (?, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM brownouts), ?)`,
      scope,
      JSON.stringify(following(before, brownout)),
    )
    this.#sql.exec('INSERT INTO late_audit (json) VALUES (?)', JSON.stringify(note))
  }

  /** What holds for an environment, or (null) of the deployment's own switch. */
  state(environmentId: string | null): BrownoutState {
    return stateOf(this.#switches([DEPLOYMENT, environmentId ?? DEPLOYMENT]), environmentId)
  }

  /** The directory with what enroll has to know of brownouts. */
  marked(directory: Directory, nowMs: number): Directory {
    const switches = this.#switches([DEPLOYMENT, ...directory.environments.map(({ id }) => id)])
    if (switches.size === 0) return directory
    const environments = directory.environments.map((environment) => {
      const ends = activeOf(stateOf(switches, environment.id), nowMs).map(({ untilMs }) => untilMs)
      if (ends.length === 0) return environment
      const untilMs = ends.includes(null) ? null : Math.max(...ends.map(Number))
      return { ...environment, enrollPaused: { untilMs } }
    })
    return { ...directory, environments }
  }

  /** Audit rows on their way to D1, oldest first. */
  lateAudit(limit: number): LateAudit[] {
    return this.#sql
      .exec<{ id: number; json: string; tried: string }>(
        'SELECT * FROM late_audit ORDER BY id LIMIT ?',
        limit,
      )
      .toArray()
      .map(({ id, json, tried }) => ({
        id,
        note: JSON.parse(json) as AuditNote,
        tried: JSON.parse(tried) as string[],
      }))
  }

  /** A new id for another try: rows of old ids would be behind where the archive has read the audit. */
  nextTry({ id, tried }: LateAudit, nowMs: number): string {
    const audit = timeOrderedUuid(nowMs)
    this.#sql.exec('UPDATE late_audit SET tried = ? WHERE id = ?', JSON.stringify([...tried, audit]), id)
    return audit
  }

  forgetLateAudit(id: number): void {
    this.#sql.exec('DELETE FROM late_audit WHERE id = ?', id)
  }

  replaceOperators(operators: readonly { tokenHash: string; name: string }[]): void {
    const known = this.#sql
      .exec<{ token_hash: string; name: string }>(
        'SELECT token_hash, name FROM operators ORDER BY token_hash',
      )
      .toArray()
    const present = JSON.stringify(known.map(({ token_hash: tokenHash, name }) => ({ tokenHash, name })))
    const sorted = operators.toSorted((a, b) => (a.tokenHash < b.tokenHash ? -1 : 1))
    if (JSON.stringify(sorted.map(({ tokenHash, name }) => ({ tokenHash, name }))) === present) return
    this.#sql.exec('DELETE FROM operators')
    this.#sql.exec(
      `INSERT INTO operators (token_hash, name)
       SELECT json_extract(value, '$.tokenHash'), json_extract(value, '$.name') FROM json_each(?)`,
      JSON.stringify(operators),
    )
  }

  /** The name of the token of this hash; null where it was none when D1 was asked last. */
  operatorOf(tokenHash: string): string | null {
    const [row] = this.#sql
      .exec<{ name: string }>('SELECT name FROM operators WHERE token_hash = ?', tokenHash)
      .toArray()
    return row?.name ?? null
  }

  #switches(scopes: readonly string[]): ReadonlyMap<string, Switch> {
    const rows = this.#sql
      .exec<{ scope: string; sequence: number; json: string }>(
        'SELECT * FROM brownouts WHERE scope IN (SELECT value FROM json_each(?))',
        JSON.stringify(scopes),
      )
      .toArray()
    return new Map(
      rows.map(({ scope, sequence, json }) => [scope, { sequence, brownout: JSON.parse(json) as Brownout }]),
    )
  }
}

interface Switch {
  sequence: number
  brownout: Brownout
}

function stateOf(switches: ReadonlyMap<string, Switch>, environmentId: string | null): BrownoutState {
  const own = environmentId === null ? undefined : switches.get(environmentId)
  const deployment = switches.get(DEPLOYMENT)
  const sequence = Math.max(own?.sequence ?? 0, deployment?.sequence ?? 0)
  if (sequence === 0) return NO_BROWNOUT
  return { sequence, own: own?.brownout ?? null, deployment: deployment?.brownout ?? null }
}
