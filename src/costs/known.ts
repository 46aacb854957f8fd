/** What is known of what SQL costs, whatever its name and interval: for estimates and budgets. Pure. */

import { DAY_S } from './constants.ts'
import { cpuMsOf } from './counters.ts'
import { figuresOf, ratingOf, type Figures, type Rating } from './figures.ts'
import type { VersionSummary } from './kinds.ts'
import { addTally, emptyTally, quantileOf, type QueryTally } from './tally.ts'
import { sqlHashOf, versionOf } from './version.ts'

/** Of a node. */
export interface NodeDayEstimate {
  cpuMs: number
  outputBytes: number
  /** Log lines; null where that depends on what changes, and has not been seen. */
  lines: number | null
}

export interface KnownCost {
  perExecution: Figures['perExecution']
  rating: Rating
  perNodeAndDay: NodeDayEstimate
}

/** Looked up by SQL. */
export class KnownCosts {
  readonly #bySql = new Map<string, QueryTally>()
  readonly #names = new Map<string, { sqlHashes: Set<string>; nodeDays: number }>()
  readonly #lines: ReadonlyMap<string, number>

  /** Versions of some days, and how many log lines each name gave in these days. */
  constructor(versions: readonly VersionSummary[], lines: ReadonlyMap<string, number> = new Map()) {
    this.#lines = lines
    for (const { name, hash, tally } of versions) {
      if (tally.executions === 0) continue
      const sqlHash = sqlHashOf(hash)
      const sum = this.#bySql.get(sqlHash) ?? emptyTally()
      addTally(sum, tally)
      this.#bySql.set(sqlHash, sum)
      const known = this.#names.get(name) ?? { sqlHashes: new Set(), nodeDays: 0 }
      known.sqlHashes.add(sqlHash)
      known.nodeDays += tally.spanS / DAY_S
      this.#names.set(name, known)
    }
  }

  /** What a query would cost; null where no node has run that SQL in these days. */
  async of(query: {
    name: string
    sql: string
    intervalS: number
    isSnapshot: boolean
  }): Promise<KnownCost | null> {
    const sqlHash = sqlHashOf(await versionOf(query.sql, query.intervalS))
    const tally = this.#bySql.get(sqlHash)
    if (tally === undefined) return null
    const perDay = DAY_S / query.intervalS
    return {
      perExecution: figuresOf(tally).perExecution,
      rating: ratingOf(quantileOf(tally.spreads.cpuMs, 0.5)),
      perNodeAndDay: {
        cpuMs: (cpuMsOf(tally) / tally.executions) * perDay,
        outputBytes: (tally.outputBytes / tally.executions) * perDay,
        // One line for each execution of a snapshot; else what changes decides, as it did before.
        lines: query.isSnapshot ? perDay : this.#linesOf(query.name, sqlHash),
      },
    }
  }

  #linesOf(name: string, sqlHash: string): number | null {
    const lines = this.#lines.get(name)
    const known = this.#names.get(name)
    if (lines === undefined || known === undefined || known.nodeDays === 0) return null
    return known.sqlHashes.size === 1 && known.sqlHashes.has(sqlHash) ? lines / known.nodeDays : null
  }
}
