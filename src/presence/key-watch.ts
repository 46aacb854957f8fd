/**
 * Keys that nodes are seen with, as one Presence object keeps them: the newest of each node in its chunk, and where an
 * older one was seen since, how both are used. Rides on flushes alone: a poll costs nothing (design 5).
 */

import { noteKeyUse, twoKeysOf, type KeyUse, type TwoKeys } from '../fleet/key-use.ts'

export const KEY_WATCH_SCHEMA = `CREATE TABLE key_uses (ordinal INTEGER PRIMARY KEY, newest_s INTEGER NOT NULL,
    older_s INTEGER NOT NULL, turns INTEGER NOT NULL, last TEXT NOT NULL, at_s INTEGER NOT NULL, told_at_s INTEGER NOT NULL);`

/** What was told and led to nothing (clones are only flagged, say) is told again after this. */
const TELL_AGAIN_AFTER_S = 24 * 3_600

/** Where the newest key's issue time of an ordinal is kept; 0: none was seen. */
export interface NewestKeys {
  newestS(ordinal: number): number
  setNewest(ordinal: number, issuedS: number): void
}

interface Watched {
  use: KeyUse
  toldAtS: number
}

interface Row extends Record<string, SqlStorageValue> {
  ordinal: number
  newest_s: number
  older_s: number
  turns: number
  last: 'older' | 'newest'
  at_s: number
  told_at_s: number
}

export class KeyWatch {
  readonly #sql: SqlStorage
  readonly #newest: NewestKeys
  /** Nodes of which an older key was seen: few, so all of them are in memory. */
  readonly #watched: Map<number, Watched>

  constructor(sql: SqlStorage, newest: NewestKeys) {
    this.#sql = sql
    this.#newest = newest
    this.#watched = new Map(
      sql
        .exec<Row>('SELECT * FROM key_uses')
        .toArray()
        .map((row) => [row.ordinal, watchedOf(row)]),
    )
  }

  /** Notes the keys that nodes came with; those of issue time 0 came with none. */
  take(seen: readonly { ordinal: number; keyIssuedAtS: number; atS: number }[], nowS: number): void {
    for (const { ordinal, keyIssuedAtS: issuedS, ...sighting } of seen) {
      const newestS = this.#newest.newestS(ordinal)
      // What nearly all of them are.
      if (issuedS === 0 || (issuedS === newestS && !this.#watched.has(ordinal))) continue
      const watched = this.#watched.get(ordinal)
      const before = notAhead(watched?.use ?? (newestS === 0 ? null : { newestS, older: null }), nowS)
      const atS = Math.min(sighting.atS, nowS)
      const use = noteKeyUse(before, { issuedS, atS })
      if (use === before && (watched === undefined || use === watched.use)) continue
      if (use.newestS !== newestS) this.#newest.setNewest(ordinal, use.newestS)
      this.#keep(ordinal, use, use.newestS === before?.newestS ? (watched?.toldAtS ?? 0) : 0)
    }
  }

  /** Nodes that two machines use, as far as nobody was told. */
  untold(nowS: number): { ordinal: number; keys: TwoKeys }[] {
    return [...this.#watched].flatMap(([ordinal, { use, toldAtS }]) => {
      const keys = nowS - toldAtS > TELL_AGAIN_AFTER_S ? twoKeysOf(use) : null
      return keys === null ? [] : [{ ordinal, keys }]
    })
  }

  /** Where they were split both keys are watched from the beginning: what comes late of the older one is no new case. */
  told(ordinal: number, verdict: 'split' | 'flag' | 'known', nowS: number): void {
    const watched = this.#watched.get(ordinal)
    if (watched === undefined) return
    if (verdict === 'split') this.#keep(ordinal, { ...watched.use, older: null }, 0)
    else this.#keep(ordinal, watched.use, nowS)
  }

  #keep(ordinal: number, use: KeyUse, toldAtS: number): void {
    const { newestS, older } = use
    const before = this.#watched.get(ordinal)
    if (older === null) {
      this.#watched.delete(ordinal)
      if (before !== undefined) this.#sql.exec('DELETE FROM key_uses WHERE ordinal = ?', ordinal)
      return
    }
    this.#watched.set(ordinal, { use, toldAtS })
    // A turn is worth a row, the same key seen again is not.
    if (before?.use.older?.turns === older.turns && before.toldAtS === toldAtS) return
    const insert = 'INSERT OR REPLACE INTO key_uses VALUES (?, ?, ?, ?, ?, ?, ?)'
    const values = [older.issuedS, older.turns, older.last, older.atS, toldAtS]
    this.#sql.exec(insert, ordinal, newestS, ...values)
  }
}

/** What is still to come was noted by a clock that was wrong: nothing would count until then. */
function notAhead(use: KeyUse | null, nowS: number): KeyUse | null {
  if (use?.older === undefined || use.older === null || use.older.atS <= nowS) return use
  return { ...use, older: { ...use.older, atS: nowS } }
}

function watchedOf(row: Row): Watched {
  const { newest_s: newestS, older_s: issuedS, turns, last, at_s: atS, told_at_s: toldAtS } = row
  return { use: { newestS, older: { issuedS, turns, last, atS } }, toldAtS }
}
