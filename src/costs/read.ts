/** Reads costs over all objects of an environment, in slices: lists for operators, facts for gates. */

import { quantile } from '../fleet/query-cost.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { Deadline } from '../lib/deadline.ts'
import { DAY_S, ORDINALS_PER_OBJECT } from './constants.ts'
import { costsStub, type DeniedNode, type MemberFacts, type NodeCosts, type VersionSummary } from './kinds.ts'
import { addToBuckets, mergeVersions } from './merge-versions.ts'
import { compare } from './query-index.ts'

/** How long one call may take. */
const CALL_WITHIN_MS = 10_000
/** Objects that are asked at once. */
const AT_ONCE = 6
/** Nodes whose facts are looked through in one call: a few hundred bytes each. */
const NODES_PER_CALL = 2_048

export interface Quantiles {
  p50: number
  p95: number
}

/** What a set of nodes told in a time, by what their agents count. */
export interface MemberCosts {
  /** Members that reported in the time; of the others nothing is known. */
  nodes: number
  /** Queries that members put on their denylist in the time, and how many members. */
  denylisted: { query: string; nodes: number }[]
  /** Queries that failed on members in the time (whole hours), on how many, and how often. */
  errors: { query: string; nodes: number; count: number }[]
  /** User and system time of all scheduled queries, of each node and hour; null where no node tells yet. */
  cpuMsPerHour: Quantiles | null
  /** The highest average of a query in a node's newest report of the time; null where no node tells yet. */
  memoryBytes: Quantiles | null
  /** Bytes that queries gave, of each node and hour; null where no node tells yet. */
  outputBytesPerHour: Quantiles | null
  /** All that queries of these nodes gave. */
  outputBytes: number
}

/**
 * What members of a set (null: all nodes) told from `sinceMs` until before `untilMs`. A report speaks of the time since the
 * one before it, so the first one after `sinceMs` reaches back over it. Throws when an object does not answer.
 */
export async function costsOfMembers(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
  members: NodeSet | null,
  { sinceMs, untilMs }: { sinceMs: number; untilMs: number },
): Promise<MemberCosts> {
  const sums: MemberFacts[] = []
  await eachObject(highestOrdinal, async (first) => {
    const inRange = members?.filter((ordinal) => objectOf(ordinal) === objectOf(first)) ?? null
    if (inRange !== null && inRange.size === 0) return
    const request = {
      members: inRange?.toBytes() ?? null,
      sinceS: Math.floor(sinceMs / 1_000),
      untilS: Math.ceil(untilMs / 1_000),
      limit: NODES_PER_CALL,
    }
    for (let after: number | null = first - 1; after !== null;) {
      const found: MemberFacts = await call(
        costsStub(env, environmentId, first).memberFacts({ ...request, after }),
      )
      sums.push(found)
      after = found.next
    }
  })
  return sumOfFacts(sums)
}

export interface CostPage {
  /** By name, all versions of a name together. */
  versions: VersionSummary[]
  /** Whether names come after these. */
  isMore: boolean
  /** Nodes that report. */
  nodes: number
}

export interface CostRequest {
  /** Today and days before it. */
  days: number
  nowMs: number
  /** Only this name; null: all after `after`. */
  name: string | null
  after: string
  /** Names. */
  limit: number
}

/** Versions of queries, by name, with what they cost in the last days. Throws when an object does not answer. */
export async function readCosts(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
  { days, nowMs, name, after, limit }: CostRequest,
): Promise<CostPage> {
  const throughDay = Math.floor(nowMs / 1_000 / DAY_S)
  const request = { fromDay: throughDay - days + 1, throughDay, name, after, limit: limit + 1 }
  const found: VersionSummary[][] = []
  let nodes = 0
  await eachObject(highestOrdinal, async (first) => {
    const part = await call(costsStub(env, environmentId, first).summaries(request))
    found.push(part.versions)
    nodes += part.nodes
  })
  const versions = mergeVersions(found.flat())
  const names = [...new Set(versions.map((version) => version.name))].sort(compare)
  const shown = new Set(names.slice(0, limit))
  return {
    versions: versions.filter((version) => shown.has(version.name)),
    isMore: names.length > limit,
    nodes,
  }
}

/** Some of the nodes that have a query on their denylist, by ordinal. */
export async function readDeniedNodes(
  env: Env,
  environmentId: string,
  highestOrdinal: number,
  name: string,
  most: number,
): Promise<DeniedNode[]> {
  const denied: DeniedNode[] = []
  for (let first = 0; first <= highestOrdinal && denied.length < most; first += ORDINALS_PER_OBJECT) {
    const costs = costsStub(env, environmentId, first)
    for (let after: number | null = first - 1; after !== null && denied.length < most;) {
      const found: { denied: DeniedNode[]; next: number | null } = await call(
        costs.deniedNodes(name, after, NODES_PER_CALL),
      )
      denied.push(...found.denied)
      after = found.next
    }
  }
  return denied.slice(0, most)
}

/** What one node told last. */
export function readNodeCosts(env: Env, environmentId: string, ordinal: number): Promise<NodeCosts> {
  return call(costsStub(env, environmentId, ordinal).node(ordinal))
}

function sumOfFacts(parts: readonly MemberFacts[]): MemberCosts {
  const denied = new Map<string, number>()
  const errors = new Map<string, { nodes: number; count: number }>()
  for (const { name, nodes } of parts.flatMap((part) => part.denied))
    denied.set(name, (denied.get(name) ?? 0) + nodes)
  for (const { name, nodes, count } of parts.flatMap((part) => part.errors)) {
    const known = errors.get(name) ?? { nodes: 0, count: 0 }
    errors.set(name, { nodes: known.nodes + nodes, count: known.count + count })
  }
  const quantilesOf = (metric: 'cpuMsPerHour' | 'memoryBytes' | 'outputBytesPerHour'): Quantiles | null => {
    const buckets = addToBuckets(parts.map((part) => part[metric]))
    return buckets.length === 0 ? null : { p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95) }
  }
  return {
    nodes: parts.reduce((sum, part) => sum + part.nodes, 0),
    denylisted: [...denied].map(([query, nodes]) => ({ query, nodes })),
    errors: [...errors].map(([query, counted]) => ({ query, ...counted })),
    cpuMsPerHour: quantilesOf('cpuMsPerHour'),
    memoryBytes: quantilesOf('memoryBytes'),
    outputBytesPerHour: quantilesOf('outputBytesPerHour'),
    outputBytes: parts.reduce((sum, part) => sum + part.outputBytes, 0),
  }
}

/** Does something for the first ordinal of each object, some at once. */
async function eachObject(highestOrdinal: number, act: (first: number) => Promise<void>): Promise<void> {
  const firsts: number[] = []
  for (let first = 0; first <= highestOrdinal; first += ORDINALS_PER_OBJECT) firsts.push(first)
  for (let i = 0; i < firsts.length; i += AT_ONCE) await Promise.all(firsts.slice(i, i + AT_ONCE).map(act))
}

function objectOf(ordinal: number): number {
  return Math.floor(ordinal / ORDINALS_PER_OBJECT)
}

function call<T>(work: Promise<T>): Promise<T> {
  return new Deadline(CALL_WITHIN_MS).run(work)
}
