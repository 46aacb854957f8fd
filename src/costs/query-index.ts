/** The versions of queries that an object's nodes have reported: their numbers, and how many nodes schedule each. */

import { DAY_S, KEPT_DAYS, MAX_QUERIES, MAX_UNCONFIGURED, MAX_VERSIONS } from './constants.ts'
import type { QueryVersion, SeenVersion } from './kinds.ts'
import type { GaugeChange } from './node-state.ts'

export interface IndexedQuery extends QueryVersion {
  id: number
  nodes: number
  denied: number
  seenS: number
}

type Row = Record<string, SqlStorageValue> & {
  id: number
  name: string
  hash: string
  interval_s: number
  nodes: number
  denied: number
  seen_s: number
}

/** How old `seenS` may be: it is no reason for a write with each report. */
const SEEN_STEP_S = DAY_S / 4

/** A cache over its table: nobody else writes that. Throw it away where a transaction failed. */
export class QueryIndex {
  readonly #sql: SqlStorage
  readonly #byId = new Map<number, IndexedQuery>()
  readonly #byKey = new Map<string, IndexedQuery>()
  readonly #idsByName = new Map<string, number[]>()

  constructor(sql: SqlStorage) {
    this.#sql = sql
    for (const row of sql.exec<Row>('SELECT * FROM queries')) {
      const { id, name, hash, nodes, denied, interval_s: intervalS, seen_s: seenS } = row
      this.#keep({ id, name, hash, intervalS, nodes, denied, seenS })
    }
  }

  /** The number of a version, a new one if need be; null where there are too many. */
  idOf({ name, hash, intervalS, isConfigured }: SeenVersion, nowS: number): number | null {
    const known = this.#byKey.get(keyOf(name, hash))
    if (known !== undefined) {
      if (nowS - known.seenS > SEEN_STEP_S) {
        known.seenS = nowS
        this.#sql.exec('UPDATE queries SET seen_s = ? WHERE id = ?', nowS, known.id)
      }
      return known.id
    }
    if (this.#byId.size >= (isConfigured ? MAX_QUERIES : MAX_UNCONFIGURED)) return null
    if (this.idsOfName(name).length >= MAX_VERSIONS) return null
    const { id } = this.#sql
      .exec<{ id: number }>(
        `INSERT INTO queries (name, hash, interval_s, nodes, denied, seen_s) VALUES (?, ?, ?, 0, 0, ?) RETURNING id`,
        name,
        hash,
        intervalS,
        nowS,
      )
      .one()
    this.#keep({ id, name, hash, intervalS, nodes: 0, denied: 0, seenS: nowS })
    return id
  }

  /** The numbers of a name's versions, that of the name itself too. */
  idsOfName(name: string): readonly number[] {
    return this.#idsByName.get(name) ?? []
  }

  get(id: number): IndexedQuery | undefined {
    return this.#byId.get(id)
  }

  /** Adds changes up, and writes those that are left. */
  change(changes: readonly GaugeChange[]): void {
    for (const [id, ofQuery] of Map.groupBy(changes, (change) => change.id)) {
      const query = this.#byId.get(id)
      const nodes = ofQuery.reduce((sum, change) => sum + change.nodes, 0)
      const denied = ofQuery.reduce((sum, change) => sum + change.denied, 0)
      if (query === undefined || (nodes === 0 && denied === 0)) continue
      query.nodes = Math.max(0, query.nodes + nodes)
      query.denied = Math.max(0, query.denied + denied)
      this.#sql.exec('UPDATE queries SET nodes = ?, denied = ? WHERE id = ?', query.nodes, query.denied, id)
    }
  }

  /** All, by name and then hash. */
  sorted(): IndexedQuery[] {
    return [...this.#byId.values()].sort(
      (a, b) => compare(a.name, b.name) || compare(a.hash, b.hash) || a.id - b.id,
    )
  }

  /** Forgets what no node has had for as long as sums are kept. */
  forgetOld(nowS: number): void {
    for (const { id, name, hash, nodes, seenS } of this.#byId.values()) {
      if (nodes > 0 || seenS > nowS - KEPT_DAYS * DAY_S) continue
      this.#sql.exec('DELETE FROM queries WHERE id = ?', id)
      this.#byId.delete(id)
      this.#byKey.delete(keyOf(name, hash))
      this.#idsByName.set(
        name,
        this.idsOfName(name).filter((other) => other !== id),
      )
    }
  }

  #keep(query: IndexedQuery): void {
    this.#byId.set(query.id, query)
    this.#byKey.set(keyOf(query.name, query.hash), query)
    const ids = this.#idsByName.get(query.name)
    if (ids === undefined) this.#idsByName.set(query.name, [query.id])
    else ids.push(query.id)
  }
}

/** A hash is of hexadecimal digits. */
function keyOf(name: string, hash: string): string {
  return `${hash} ${name}`
}

/** By code units, as SQLite's bytes would nearly do; the same everywhere, which is what counts. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
