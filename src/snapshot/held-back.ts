/** What the safety check holds back (safety.ts), as long as it does: operators see it, and may publish it by name. */

import { partsOf, type EnvironmentHead } from './head.ts'
import type { UnsafeReason } from './safety.ts'

export const HELD_BACK_SCHEMA = `CREATE TABLE held_back (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL);`

export interface HeldBackSnapshot {
  /** The revision of D1 that it would have been. */
  revision: number
  reason: UnsafeReason
  /** When something was held back first; what came later and was too does not change it. */
  sinceMs: number
}

export class HeldBack {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  read(): HeldBackSnapshot | null {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM held_back').toArray()
    return row === undefined ? null : (JSON.parse(row.json) as HeldBackSnapshot)
  }

  note(revision: number, reason: UnsafeReason, nowMs: number): void {
    const present = this.read()
    if (present?.revision === revision) return
    const held: HeldBackSnapshot = { revision, reason, sinceMs: present?.sinceMs ?? nowMs }
    console.error(JSON.stringify({ event: 'snapshot-held-back', revision, ...reason }))
    this.#sql.exec('INSERT OR REPLACE INTO held_back (id, json) VALUES (1, ?)', JSON.stringify(held))
  }

  clear(): void {
    this.#sql.exec('DELETE FROM held_back')
  }
}

/**
 * Whether a compilation of this revision has nothing to add to the present head. Heads of Workers before this one have no
 * names or superseded keys, or such a Worker let parts go that it did not know: then the same revision is installed anew.
 */
export function isOutdated(
  head: EnvironmentHead,
  revision: number,
  store: { hasParts(hashes: readonly string[]): boolean },
): boolean {
  const knowsAll = head.namesPart !== undefined && head.supersededPart !== undefined
  return knowsAll && store.hasParts(partsOf(head)) ? head.revision >= revision : head.revision > revision
}
