/** What a change of the configuration would make nodes do in a day, by what its queries are known to cost. Pure. */

import { runsOn, type ScheduledQuery } from '../config/scheduled-queries.ts'
import type { PlatformFamily } from '../fleet/platform.ts'
import type { Rating } from './figures.ts'
import type { KnownCost, KnownCosts } from './known.ts'

/** Nodes that get the same queries. */
export interface EstimateCell {
  nodes: number
  family: PlatformFamily
  before: readonly ScheduledQuery[]
  after: readonly ScheduledQuery[]
}

/** Of all nodes together, in a day. Null: not known. */
export interface FleetDay {
  nodes: number
  executions: number
  cpuMs: number | null
  outputBytes: number | null
  lines: number | null
}

export interface QueryEstimate {
  query: string
  /** Of what it is to be, or was. Undetermined: no node has run that. */
  rating: Rating
  before: FleetDay
  after: FleetDay
}

export interface Estimate {
  /** Queries that are not what they were, or not on as many nodes. */
  queries: QueryEstimate[]
  /** Of all queries that are known; `unknown` says how many are not. */
  before: FleetSum
  after: FleetSum
}

export interface FleetSum {
  executions: number
  cpuMs: number
  outputBytes: number
  lines: number
  /** Queries whose cost is not known and so not in the sums. */
  unknown: number
}

const DAY_S = 86_400

export async function estimateOf(cells: readonly EstimateCell[], costs: KnownCosts): Promise<Estimate> {
  const before = new Side(costs)
  const after = new Side(costs)
  for (const cell of cells) {
    for (const query of cell.before) await before.add(query, cell)
    for (const query of cell.after) await after.add(query, cell)
  }
  const names = [...new Set([...before.names(), ...after.names()])].sort()
  return {
    queries: names
      .filter((name) => before.signatureOf(name) !== after.signatureOf(name))
      .map((name) => ({
        query: name,
        rating: after.ratingOf(name) ?? before.ratingOf(name) ?? 'undetermined',
        before: before.dayOf(name),
        after: after.dayOf(name),
      })),
    before: before.sum(),
    after: after.sum(),
  }
}

interface Known {
  day: FleetDay
  rating: Rating
  /** Which versions on how many nodes. */
  parts: Map<string, number>
}

/** All queries of one side of the change. */
class Side {
  readonly #costs: KnownCosts
  readonly #queries = new Map<string, Known>()
  readonly #looked = new Map<string, KnownCost | null>()

  constructor(costs: KnownCosts) {
    this.#costs = costs
  }

  async add(query: ScheduledQuery, { nodes: all, family }: EstimateCell): Promise<void> {
    const nodes = runsOn(query, family) ? Math.round(all * query.share) : 0
    if (nodes === 0) return
    const cost = await this.#costOf(query)
    const known = this.#queries.get(query.name) ?? {
      day: { nodes: 0, executions: 0, cpuMs: 0, outputBytes: 0, lines: 0 },
      rating: cost?.rating ?? 'undetermined',
      parts: new Map<string, number>(),
    }
    const { day, parts } = known
    const perNode = cost?.perNodeAndDay
    day.nodes += nodes
    day.executions += Math.round((nodes * DAY_S) / query.intervalS)
    day.cpuMs = sumOf(day.cpuMs, perNode?.cpuMs, nodes)
    day.outputBytes = sumOf(day.outputBytes, perNode?.outputBytes, nodes)
    // A snapshot gives a line each time, whatever it costs.
    day.lines = sumOf(day.lines, query.isSnapshot ? DAY_S / query.intervalS : perNode?.lines, nodes)
    const version = JSON.stringify([query.sql, query.intervalS, query.isSnapshot])
    parts.set(version, (parts.get(version) ?? 0) + nodes)
    this.#queries.set(query.name, known)
  }

  names(): Iterable<string> {
    return this.#queries.keys()
  }

  signatureOf(name: string): string {
    const parts = [...(this.#queries.get(name)?.parts ?? [])]
    return parts
      .map((part) => JSON.stringify(part))
      .sort()
      .join()
  }

  dayOf(name: string): FleetDay {
    return this.#queries.get(name)?.day ?? { nodes: 0, executions: 0, cpuMs: 0, outputBytes: 0, lines: 0 }
  }

  ratingOf(name: string): Rating | undefined {
    return this.#queries.get(name)?.rating
  }

  sum(): FleetSum {
    const days = [...this.#queries.values()].map(({ day }) => day)
    const sum = (valueOf: (day: FleetDay) => number | null) =>
      days.reduce((total, day) => total + (valueOf(day) ?? 0), 0)
    return {
      executions: sum(({ executions }) => executions),
      cpuMs: sum(({ cpuMs }) => cpuMs),
      outputBytes: sum(({ outputBytes }) => outputBytes),
      lines: sum(({ lines }) => lines),
      unknown: days.filter(({ cpuMs }) => cpuMs === null).length,
    }
  }

  async #costOf(query: ScheduledQuery): Promise<KnownCost | null> {
    const key = JSON.stringify([query.name, query.sql, query.intervalS, query.isSnapshot])
    const looked = this.#looked.get(key)
    if (looked !== undefined) return looked
    const cost = await this.#costs.of(query)
    this.#looked.set(key, cost)
    return cost
  }
}

function sumOf(sum: number | null, perNode: number | null | undefined, nodes: number): number | null {
  return sum === null || perNode === null || perNode === undefined ? null : sum + Math.round(perNode * nodes)
}
