/** What rode along, by ordinal, in the Presence object's SQLite. Written only where there is something to tell D1. */

import { addressOfKey } from '../lib/ip-address.ts'
import type { AgentFacts, RideAlong } from './kinds.ts'
import { dueAtS, readRidden, takeRide, tidingsOf, withTold, type Ridden, type Tidings } from './ridden.ts'

export const AGENTS_SCHEMA = `CREATE TABLE agents (ordinal INTEGER PRIMARY KEY, state TEXT NOT NULL, due_s INTEGER);
  CREATE INDEX agents_due ON agents (due_s) WHERE due_s IS NOT NULL;`

/** Nodes that D1 is told of at once: 5,000 take it half a second, and all objects tell the same D1. */
const MAX_TOLD_AT_ONCE = 2_000
const ROWS_AT_ONCE = 1_000

/** News of one node on their way to D1. */
export interface Told {
  ordinal: number
  tidings: Tidings
  after: Ridden
}

export class AgentStore {
  readonly #sql: SqlStorage
  /** Null: there is nothing of that node. At most the object's 65,536. */
  readonly #known = new Map<number, Ridden | null>()

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Takes what rode along. Says whether D1 is to hear of any of it. */
  take(rides: readonly RideAlong[], nowS: number): boolean {
    let news = false
    for (const ride of rides) {
      const taken = takeRide(this.#load(ride.ordinal), ride, nowS)
      this.#known.set(ride.ordinal, taken.ridden)
      if (!taken.news) continue
      this.#write(ride.ordinal, taken.ridden)
      news = true
    }
    return news
  }

  /** What is known of these nodes; nodes that nothing is known of are left out. */
  facts(ordinals: readonly number[]): Map<number, AgentFacts> {
    this.#loadAll(ordinals.filter((ordinal) => !this.#known.has(ordinal)))
    const found = new Map<number, AgentFacts>()
    for (const ordinal of ordinals) {
      const ridden = this.#known.get(ordinal)
      if (ridden !== null && ridden !== undefined) found.set(ordinal, factsOf(ridden))
    }
    return found
  }

  /** When D1 is to be told next, in seconds; null: there is nothing to tell. */
  nextDueS(): number | null {
    const [row] = this.#sql
      .exec<{ due_s: number | null }>('SELECT MIN(due_s) AS due_s FROM agents WHERE due_s IS NOT NULL')
      .toArray()
    return row?.due_s ?? null
  }

  /** What D1 is to be told now, a batch of it. */
  due(nowS: number): Told[] {
    const rows = this.#sql
      .exec<{ ordinal: number }>(
        'SELECT ordinal FROM agents WHERE due_s <= ? ORDER BY due_s LIMIT ?',
        nowS,
        MAX_TOLD_AT_ONCE,
      )
      .toArray()
    this.#loadAll(rows.map(({ ordinal }) => ordinal).filter((ordinal) => !this.#known.has(ordinal)))
    return rows.flatMap(({ ordinal }) => {
      const ridden = this.#known.get(ordinal) ?? null
      const dueS = ridden === null ? null : dueAtS(ridden)
      // It was seen again where it would have left, or there is nothing to tell any more.
      if (ridden === null || dueS === null || dueS > nowS) {
        this.#sql.exec('UPDATE agents SET due_s = ? WHERE ordinal = ?', dueS, ordinal)
        return []
      }
      return [{ ordinal, ...tidingsOf(ridden, nowS) }]
    })
  }

  /** Notes that D1 knows. What came meanwhile stays to be told. */
  told(told: readonly Told[]): void {
    for (const { ordinal, after } of told) {
      const now = this.#load(ordinal)
      if (now === null) continue
      const ridden = withTold(now, after)
      this.#known.set(ordinal, ridden)
      this.#write(ordinal, ridden)
    }
  }

  /** Forgets a node; null: all of them. What is seen from now on is new. */
  forget(ordinal: number | null): void {
    if (ordinal === null) {
      this.#sql.exec('DELETE FROM agents')
      this.#known.clear()
    } else {
      this.#sql.exec('DELETE FROM agents WHERE ordinal = ?', ordinal)
      this.#known.delete(ordinal)
    }
  }

  #write(ordinal: number, ridden: Ridden): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO agents (ordinal, state, due_s) VALUES (?, ?, ?)',
      ordinal,
      JSON.stringify(ridden),
      dueAtS(ridden),
    )
  }

  #load(ordinal: number): Ridden | null {
    if (!this.#known.has(ordinal)) this.#loadAll([ordinal])
    return this.#known.get(ordinal) ?? null
  }

  #loadAll(ordinals: readonly number[]): void {
    for (let at = 0; at < ordinals.length; at += ROWS_AT_ONCE) {
      const some = ordinals.slice(at, at + ROWS_AT_ONCE)
      for (const ordinal of some) this.#known.set(ordinal, null)
      const rows = this.#sql.exec<{ ordinal: number; state: string }>(
        'SELECT ordinal, state FROM agents WHERE ordinal IN (SELECT value FROM json_each(?))',
        JSON.stringify(some),
      )
      for (const { ordinal, state } of rows) this.#known.set(ordinal, readRidden(state))
    }
  }
}

function factsOf({ osqueryVersion, addresses: [newest] }: Ridden): AgentFacts {
  const address = newest === undefined ? null : { ip: addressOfKey(newest.key), sinceS: newest.fromS }
  return { osqueryVersion, address }
}
