/** What is counted of lines while they are compacted: volume, counters of results, newest snapshots. Pure. */

import { textOf } from '../../lib/bytes.ts'
import type { NodeTallies, Tallies } from '../index/tallies.ts'
import type { LineType } from '../line.ts'
import type { NameMatcher } from '../name-glob.ts'
import { agentLine, type CompactLine } from './lines.ts'

/** Counts lines in the order of nodes, then of time received. `wantsLatest` says of which queries newest snapshots are kept. */
export function tallyOf(
  type: LineType,
  hour: string,
  sorted: readonly CompactLine[],
  wantsLatest: NameMatcher,
): Tallies {
  const nodes: Tallies['nodes'] = []
  let nodeId: string | null = null
  let node: NodeTallies = { volumes: {}, runs: {}, latest: {} }
  for (const line of sorted) {
    if (line.nodeId !== nodeId) {
      if (nodeId !== null) nodes.push([nodeId, JSON.stringify(node)])
      nodeId = line.nodeId
      node = { volumes: {}, runs: {}, latest: {} }
    }
    const { name } = line
    const [lines, bytes] = own(node.volumes, name) ?? [0, 0]
    put(node.volumes, name, [lines + 1, bytes + agentLine(line).length])
    if (type === 'result') noteRun(node, line)
    if (type === 'snapshot' && wantsLatest(name)) {
      put(node.latest, name, { atMs: line.receivedAtMs, eventId: line.eventId })
    }
  }
  if (nodeId !== null) nodes.push([nodeId, JSON.stringify(node)])
  return { day: hour.slice(0, 10), type, nodes }
}

function noteRun(node: NodeTallies, line: CompactLine): void {
  const { name, receivedAtMs } = line
  const { epoch, counter } = countersOf(textOf(agentLine(line)))
  if (epoch === null || counter === null) return
  const runs = own(node.runs, name) ?? []
  const last = runs.at(-1)
  if (last?.epoch === epoch && last.counter === counter) last.atMs = receivedAtMs
  else runs.push({ epoch, counter, atMs: receivedAtMs })
  put(node.runs, name, runs)
}

/** Epochs are 64 bits wide and may be rounded here: two that differ only beyond 2^53 count as one. */
function countersOf(text: string): { epoch: number | null; counter: number | null } {
  try {
    const { epoch = 0, counter } = JSON.parse(text) as { epoch?: unknown; counter?: unknown }
    return { epoch: numberOf(epoch), counter: numberOf(counter) }
  } catch {
    // Bytes that are no UTF-8 may have eaten a quote; such a line is kept, but not counted on.
    return { epoch: null, counter: null }
  }
}

/** Agents before 2.9 write numbers as texts (spec 4.2). */
function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : null
}

// Names are agents' texts: one may be `__proto__`.
function own<T>(record: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

function put<T>(record: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}
