/** A node's state as two BLOBs: counters, which only its next report needs, and facts, which readers look through. Pure. */

import type { Bytes } from '../lib/bytes.ts'
import { ROW_FORMAT } from './constants.ts'
import { IntReader, IntWriter } from './ints.ts'
import type { ErrorTally, NodeState, Point } from './node-state.ts'

export interface NodeRow {
  atS: number
  facts: Bytes
  counters: Bytes
}

/** What readers get of a node. */
export interface NodeFacts {
  points: Point[]
  /** Query and since when. */
  denied: { id: number; sinceS: number }[]
  errors: Map<number, ErrorTally>
}

export function rowOfNode({ atS, queries, points, errors }: NodeState): NodeRow {
  const counters = new IntWriter().add(ROW_FORMAT, queries.size)
  for (const [id, { atS: queryS, counters: total, deniedSinceS, isScheduled }] of queries) {
    const { executions, userMs, systemMs, wallMs, outputBytes, lastExecutedS } = total
    counters.add(id, Number(isScheduled), queryS, deniedSinceS)
    counters.add(executions, userMs, systemMs, wallMs, outputBytes, lastExecutedS)
  }
  const denied = [...queries].filter(([, query]) => query.isScheduled && query.deniedSinceS > 0)
  const facts = new IntWriter().add(ROW_FORMAT, denied.length)
  for (const [id, { deniedSinceS }] of denied) facts.add(id, deniedSinceS)
  facts.add(points.length)
  for (const point of points) facts.add(point.atS, point.cpuMs, point.outputBytes, point.memoryBytes)
  facts.add(errors.size)
  for (const [id, { lastS, hours }] of errors) {
    facts.add(id, lastS, hours.length)
    for (const { hour, count } of hours) facts.add(hour, count)
  }
  return { atS, facts: facts.toBytes(), counters: counters.toBytes() }
}

/** The state of a row. One of a format that this Worker does not know is as if there were none. */
export function nodeOfRow(atS: number, facts: Uint8Array, counters: Uint8Array): NodeState {
  const reader = new IntReader(counters)
  const { points, errors } = factsOfRow(facts)
  if (reader.next() !== ROW_FORMAT) return { atS, queries: new Map(), points, errors }
  const queries = reader.list(() => {
    const id = reader.next()
    const isScheduled = reader.next() === 1
    const queryS = reader.next()
    const deniedSinceS = reader.next()
    const [executions, userMs, systemMs] = [reader.next(), reader.next(), reader.next()]
    const [wallMs, outputBytes, lastExecutedS] = [reader.next(), reader.next(), reader.next()]
    const total = { executions, userMs, systemMs, wallMs, outputBytes, lastExecutedS }
    return [id, { atS: queryS, counters: total, deniedSinceS, isScheduled }] as const
  })
  return { atS, queries: new Map(queries), points, errors }
}

export function factsOfRow(bytes: Uint8Array): NodeFacts {
  const reader = new IntReader(bytes)
  if (reader.next() !== ROW_FORMAT) return { points: [], denied: [], errors: new Map() }
  const denied = reader.list(() => ({ id: reader.next(), sinceS: reader.next() }))
  const points = reader.list(() => ({
    atS: reader.next(),
    cpuMs: reader.next(),
    outputBytes: reader.next(),
    memoryBytes: reader.next(),
  }))
  const errors = reader.list(() => {
    const id = reader.next()
    const lastS = reader.next()
    return [id, { lastS, hours: reader.list(() => ({ hour: reader.next(), count: reader.next() })) }] as const
  })
  return { points, denied, errors: new Map(errors) }
}
