/**
 * What is remembered of one node: the counters of its last report, so that the next one gives a difference, and what
 * that came to over time. A report that was taken before, or is older than one that was, changes nothing. Pure.
 */

import { DAY_S, FORGET_QUERY_AFTER_S, HOUR_S, MAX_AHEAD_S, MAX_SPAN_S } from './constants.ts'
import { cpuMsOf, deltaOf, NO_COUNTERS, type Counters, type Delta } from './counters.ts'

export interface KnownQuery {
  /** Of the report that these are from. */
  atS: number
  counters: Counters
  /** When it was first seen on the agent's denylist; 0: it is not on it. */
  deniedSinceS: number
  /** Not where a later report had it no more. */
  isScheduled: boolean
}

/** Totals over all queries, ever. */
export interface Point {
  atS: number
  cpuMs: number
  outputBytes: number
  /** The highest average of a query in that report. */
  memoryBytes: number
}

/** Errors of a query by hour, ascending; the last one that was counted. */
export interface ErrorTally {
  lastS: number
  hours: { hour: number; count: number }[]
}

export interface NodeState {
  /** Of the newest report; 0: there was none. */
  atS: number
  queries: Map<number, KnownQuery>
  points: Point[]
  errors: Map<number, ErrorTally>
}

export interface ReportedQuery {
  id: number
  intervalS: number
  counters: Counters
  memoryBytes: number
  denylisted: boolean
}

export interface NodeReport {
  /** As the agent says; null: it does not. */
  unixTimeS: number | null
  receivedS: number
  isWhole: boolean
  queries: readonly ReportedQuery[]
}

/** What a report adds to a query. */
export interface TakenDelta {
  id: number
  delta: Delta
  memoryBytes: number
  /** The time in which that was. */
  spanS: number
}

/** How many more nodes schedule a query, and have it on their denylist. */
export interface GaugeChange {
  id: number
  nodes: number
  denied: number
}

export interface Taken {
  deltas: TakenDelta[]
  gauges: GaugeChange[]
}

/** Points that are kept; older ones get sparser. */
const MAX_POINTS = 32
const ERROR_HOURS = 24
const FORGET_ERRORS_AFTER_S = 8 * DAY_S

export function emptyNode(): NodeState {
  return { atS: 0, queries: new Map(), points: [], errors: new Map() }
}

/** Takes a report into the state. */
export function takeReport(state: NodeState, report: NodeReport): Taken {
  const { receivedS, isWhole } = report
  const atS = timeOf(report.unixTimeS, receivedS)
  const deltas: TakenDelta[] = []
  const gauges: GaugeChange[] = []
  for (const query of report.queries) {
    const known = state.queries.get(query.id)
    if (known !== undefined && known.atS >= atS) continue
    const delta = deltaOf(known?.counters ?? NO_COUNTERS, query.counters)
    deltas.push({
      id: query.id,
      delta,
      memoryBytes: query.memoryBytes,
      spanS: spanOf(state, known, query, atS),
    })
    const wasDenied = known !== undefined && known.isScheduled && known.deniedSinceS > 0
    gauges.push({
      id: query.id,
      nodes: known?.isScheduled === true ? 0 : 1,
      denied: Number(query.denylisted) - Number(wasDenied),
    })
    const deniedSinceS = query.denylisted ? (known?.deniedSinceS ?? 0) || atS : 0
    state.queries.set(query.id, { atS, counters: query.counters, deniedSinceS, isScheduled: true })
  }
  if (!isWhole) gauges.push(...dropOldDenials(state, atS))
  else if (atS > state.atS) gauges.push(...dropAbsent(state, report, atS))
  addPoint(state, deltas, atS)
  state.atS = Math.max(state.atS, atS)
  return { deltas, gauges: gauges.filter(({ nodes, denied }) => nodes !== 0 || denied !== 0) }
}

/**
 * Takes an error of a scheduled query. One second has one at most: a query's interval is no shorter, so a second one is
 * the same line again. Returns whether it counts.
 */
export function takeError(
  state: NodeState,
  id: number,
  unixTimeS: number | null,
  receivedS: number,
): boolean {
  const atS = timeOf(unixTimeS, receivedS)
  const tally = state.errors.get(id) ?? { lastS: 0, hours: [] }
  if (atS <= tally.lastS) return false
  tally.lastS = atS
  const hour = Math.floor(atS / HOUR_S)
  const last = tally.hours.at(-1)
  if (last?.hour === hour) last.count += 1
  else tally.hours.push({ hour, count: 1 })
  tally.hours.splice(0, tally.hours.length - ERROR_HOURS)
  state.errors.set(id, tally)
  for (const [other, { lastS }] of state.errors)
    if (lastS < atS - FORGET_ERRORS_AFTER_S) state.errors.delete(other)
  return true
}

/**
 * Takes that a node's agent was killed at a query: it is on its denylist from then on, long before the next report says
 * so. `ids`: the query's versions; `nameId` stands for one that no report had yet, until one comes. A report that is
 * newer knows better.
 */
export function takeKilled(
  state: NodeState,
  ids: readonly number[],
  nameId: number,
  unixTimeS: number | null,
  receivedS: number,
): GaugeChange[] {
  const atS = timeOf(unixTimeS, receivedS)
  const scheduled = ids.flatMap((id) => {
    const known = state.queries.get(id)
    return known?.isScheduled === true ? [{ id, known }] : []
  })
  if (scheduled.length === 0) {
    if (atS <= state.atS || state.queries.get(nameId)?.isScheduled === true) return []
    state.queries.set(nameId, { atS, counters: NO_COUNTERS, deniedSinceS: atS, isScheduled: true })
    return [{ id: nameId, nodes: 1, denied: 1 }]
  }
  return scheduled.flatMap(({ id, known }) => {
    if (known.atS >= atS || known.deniedSinceS > 0) return []
    state.queries.set(id, { ...known, deniedSinceS: atS })
    return [{ id, nodes: 0, denied: 1 }]
  })
}

/** What becomes of the gauges when a node is forgotten. */
export function gaugesOfLeaving(state: NodeState): GaugeChange[] {
  return [...state.queries].flatMap(([id, { isScheduled, deniedSinceS }]) =>
    isScheduled ? [{ id, nodes: -1, denied: deniedSinceS > 0 ? -1 : 0 }] : [],
  )
}

function timeOf(unixTimeS: number | null, receivedS: number): number {
  return unixTimeS === null || unixTimeS > receivedS + MAX_AHEAD_S ? receivedS : unixTimeS
}

/**
 * The time that a delta speaks of. A query that is new in a node's report came after the report before; of a node's very
 * first report it is not known when the agent began to count, so its executions say it.
 */
function spanOf(state: NodeState, known: KnownQuery | undefined, query: ReportedQuery, atS: number): number {
  const sinceS = known?.atS ?? state.atS
  const spanS = sinceS > 0 ? atS - sinceS : query.counters.executions * query.intervalS
  return Math.min(Math.max(0, spanS), MAX_SPAN_S)
}

function dropAbsent(state: NodeState, { queries }: NodeReport, atS: number): GaugeChange[] {
  const present = new Set(queries.map(({ id }) => id))
  const changes: GaugeChange[] = []
  for (const [id, known] of state.queries) {
    if (present.has(id)) continue
    if (known.isScheduled) changes.push({ id, nodes: -1, denied: known.deniedSinceS > 0 ? -1 : 0 })
    if (atS - known.atS > FORGET_QUERY_AFTER_S) state.queries.delete(id)
    else state.queries.set(id, { ...known, isScheduled: false, deniedSinceS: 0 })
  }
  return changes
}

/** Where no report says what is scheduled no more, a denial that was not repeated is over when its day is. */
function dropOldDenials(state: NodeState, atS: number): GaugeChange[] {
  const changes: GaugeChange[] = []
  for (const [id, known] of state.queries) {
    const isOver = atS - Math.max(known.atS, known.deniedSinceS) > DAY_S
    if (!known.isScheduled || known.deniedSinceS === 0 || !isOver) continue
    changes.push({ id, nodes: -1, denied: -1 })
    state.queries.set(id, { ...known, isScheduled: false, deniedSinceS: 0 })
  }
  return changes
}

/** Rows of one report may come in several lines: they make one point. */
function addPoint(state: NodeState, deltas: readonly TakenDelta[], atS: number): void {
  if (deltas.length === 0) return
  const last = state.points.at(-1)
  if (last !== undefined && last.atS > atS) return
  const isSame = last?.atS === atS
  const point = {
    atS,
    cpuMs: (last?.cpuMs ?? 0) + sumOf(deltas, ({ delta }) => cpuMsOf(delta)),
    outputBytes: (last?.outputBytes ?? 0) + sumOf(deltas, ({ delta }) => delta.outputBytes),
    memoryBytes: Math.max(isSame ? last.memoryBytes : 0, ...deltas.map(({ memoryBytes }) => memoryBytes)),
  }
  if (isSame) state.points.pop()
  state.points.push(point)
  // Every second one of the older half goes: totals bear it.
  if (state.points.length > MAX_POINTS)
    state.points = state.points.filter((_point, index) => index >= MAX_POINTS / 2 || index % 2 === 0)
}

function sumOf(deltas: readonly TakenDelta[], valueOf: (delta: TakenDelta) => number): number {
  return deltas.reduce((sum, delta) => sum + valueOf(delta), 0)
}
