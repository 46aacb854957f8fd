/** What some nodes' rows say together: for gates, and for lists of nodes. Pure. */

import { addToBucket, bucketOf } from '../fleet/query-cost.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { HOUR_S } from './constants.ts'
import { cpuMsOf } from './counters.ts'
import type { DeniedNode, MemberFacts, MemberRequest, NodeCosts } from './kinds.ts'
import { factsOfRow, type NodeFacts } from './node-row.ts'
import type { NodeState, Point } from './node-state.ts'
import { compare, type QueryIndex } from './query-index.ts'

export type FactsRow = Record<string, SqlStorageValue> & { ordinal: number; facts: ArrayBuffer }

/** Rows are in the order of ordinals, `request.limit` of them where there may be more. */
export function memberFactsOf(
  rows: readonly FactsRow[],
  request: MemberRequest,
  index: QueryIndex,
): MemberFacts {
  const members = request.members === null ? null : NodeSet.fromBytes(request.members)
  const sum = new FactSum(request, index)
  for (const { ordinal, facts } of rows)
    if (members === null || members.has(ordinal)) sum.add(factsOfRow(new Uint8Array(facts)))
  return sum.facts(rows.length < request.limit ? null : (rows.at(-1)?.ordinal ?? null))
}

export function deniedNodesOf(
  rows: readonly FactsRow[],
  name: string,
  limit: number,
  index: QueryIndex,
): { denied: DeniedNode[]; next: number | null } {
  const denied = rows.flatMap(({ ordinal, facts }) =>
    factsOfRow(new Uint8Array(facts)).denied.flatMap(({ id, sinceS }) => {
      const query = index.get(id)
      return query?.name === name ? [{ ordinal, hash: query.hash, sinceS }] : []
    }),
  )
  return { denied, next: rows.length < limit ? null : (rows.at(-1)?.ordinal ?? null) }
}

class FactSum {
  readonly #request: MemberRequest
  readonly #index: QueryIndex
  readonly #denied = new Map<string, number>()
  readonly #errors = new Map<string, { nodes: number; count: number }>()
  readonly #sum: Omit<MemberFacts, 'denied' | 'errors' | 'next'> = {
    nodes: 0,
    cpuMsPerHour: [],
    memoryBytes: [],
    outputBytesPerHour: [],
    outputBytes: 0,
  }

  constructor(request: MemberRequest, index: QueryIndex) {
    this.#request = request
    this.#index = index
  }

  add({ points, denied, errors }: NodeFacts): void {
    const { sinceS, untilS } = this.#request
    for (const name of this.#namesOf(denied.filter((one) => one.sinceS >= sinceS && one.sinceS < untilS)))
      this.#denied.set(name, (this.#denied.get(name) ?? 0) + 1)
    for (const [id, { hours }] of errors) {
      const count = hours
        .filter(({ hour }) => (hour + 1) * HOUR_S > sinceS && hour * HOUR_S < untilS)
        .reduce((all, each) => all + each.count, 0)
      const name = this.#index.get(id)?.name
      if (count === 0 || name === undefined) continue
      const known = this.#errors.get(name) ?? { nodes: 0, count: 0 }
      this.#errors.set(name, { nodes: known.nodes + 1, count: known.count + count })
    }
    this.#addPoints(points)
  }

  facts(next: number | null): MemberFacts {
    return {
      ...this.#sum,
      denied: [...this.#denied].map(([name, nodes]) => ({ name, nodes })),
      errors: [...this.#errors].map(([name, counted]) => ({ name, ...counted })),
      next,
    }
  }

  /** Totals at the last report of the time, less those at the last report before it. */
  #addPoints(points: readonly Point[]): void {
    const { sinceS, untilS } = this.#request
    const last = points.findLast(({ atS }) => atS < untilS)
    if (last === undefined || last.atS < sinceS) return
    const sum = this.#sum
    sum.nodes += 1
    addToBucket(sum.memoryBytes, bucketOf(last.memoryBytes), 1)
    const first = points.findLast(({ atS }) => atS < sinceS) ?? points[0]
    if (first === undefined || first === last) return
    const hours = (last.atS - first.atS) / HOUR_S
    const outputBytes = last.outputBytes - first.outputBytes
    addToBucket(sum.cpuMsPerHour, bucketOf((last.cpuMs - first.cpuMs) / hours), 1)
    addToBucket(sum.outputBytesPerHour, bucketOf(outputBytes / hours), 1)
    sum.outputBytes += outputBytes
  }

  /** A node counts once for a name, whatever versions it has had. */
  #namesOf(denied: readonly { id: number }[]): Set<string> {
    const names = denied.map(({ id }) => this.#index.get(id)?.name)
    return new Set(names.filter((name) => name !== undefined))
  }
}

/** One node on its own. */
export function nodeCostsOf({ atS, queries, points }: NodeState, index: QueryIndex): NodeCosts {
  const [first] = points
  const last = points.at(-1)
  const hours = first === undefined || last === undefined ? 0 : (last.atS - first.atS) / HOUR_S
  const known = [...queries].flatMap(([id, { isScheduled, counters, deniedSinceS }]) => {
    const query = index.get(id)
    if (!isScheduled || query === undefined) return []
    return [{ name: query.name, hash: query.hash, counters, deniedSinceS }]
  })
  return {
    atS,
    cpuMsPerHour: hours === 0 ? null : Math.round(((last?.cpuMs ?? 0) - (first?.cpuMs ?? 0)) / hours),
    queries: known.sort((a, b) => cpuMsOf(b.counters) - cpuMsOf(a.counters) || compare(a.name, b.name)),
  }
}
