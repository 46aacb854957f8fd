/** What travels to and from the objects that keep costs. */

import type { Bytes } from '../lib/bytes.ts'
import type { HistogramBucket } from '../fleet/query-cost.ts'
import { ORDINALS_PER_OBJECT } from './constants.ts'
import type { Counters } from './counters.ts'
import type { ReportedQuery } from './node-state.ts'
import type { QueryTally } from './tally.ts'

/**
 * A version of a scheduled query: its name in log lines, and what tells it from others of that name - the hash of its
 * SQL and interval. A changed query begins anew. Interval 0 and no hash: the name itself, for its errors.
 */
export interface QueryVersion {
  name: string
  hash: string
  intervalS: number
}

/** As the consumer knows it. */
export interface SeenVersion extends QueryVersion {
  /** Whether the environment's configuration has that name: what it has not may be anything that a node made up. */
  isConfigured: boolean
}

/** One batch of the consumer, for one object. Queries go by their index. */
export interface CostBatch {
  format: number
  queries: SeenVersion[]
  reports: {
    ordinal: number
    unixTimeS: number | null
    receivedS: number
    isWhole: boolean
    queries: (Omit<ReportedQuery, 'id' | 'intervalS'> & { query: number })[]
  }[]
  troubles: {
    ordinal: number
    query: number
    kind: 'error' | 'killed'
    unixTimeS: number | null
    receivedS: number
  }[]
}

export interface BatchOutcome {
  /** Whether a node said that it has a query on its denylist, or was killed at one. */
  sawDenied: boolean
}

/** One version in an object's nodes. */
export interface VersionSummary extends QueryVersion {
  /** Nodes that schedule it now, and that have it on their denylist. */
  nodes: number
  denied: number
  /** Last reported, Unix time. */
  seenS: number
  tally: QueryTally
}

export interface SummaryRequest {
  /** Days since 1970, both in. */
  fromDay: number
  throughDay: number
  /** Only this name; null: all after `after`. */
  name: string | null
  after: string
  /** Names, not versions. */
  limit: number
}

export interface Summaries {
  /** By name, ascending. */
  versions: VersionSummary[]
  /** Nodes that have reported and are not forgotten. */
  nodes: number
}

/** What gates ask. */
export interface MemberRequest {
  /** A NodeSet's bytes; null: all nodes. */
  members: Bytes | null
  sinceS: number
  untilS: number
  after: number
  limit: number
}

export interface MemberFacts {
  /** Members that reported in the time. */
  nodes: number
  denied: { name: string; nodes: number }[]
  errors: { name: string; nodes: number; count: number }[]
  cpuMsPerHour: HistogramBucket[]
  memoryBytes: HistogramBucket[]
  outputBytesPerHour: HistogramBucket[]
  outputBytes: number
  /** The last ordinal that was looked at; null: there are no more. */
  next: number | null
}

/** A node that has a query on its denylist. */
export interface DeniedNode {
  ordinal: number
  hash: string
  sinceS: number
}

/** One node's last report. */
export interface NodeCosts {
  /** Unix time; 0: there was none. */
  atS: number
  /** Of all queries; null where there is one report only. */
  cpuMsPerHour: number | null
  /** What it schedules, the most CPU time first. */
  queries: { name: string; hash: string; counters: Counters; deniedSinceS: number }[]
}

/** The object that keeps a node's costs. */
export function costsStub(env: Env, environmentId: string, ordinal: number) {
  return env.COSTS.getByName(`${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`)
}
