/**
 * A day of a fleet's lines as compaction leaves it: large objects that follow each other in time, sorted by node inside,
 * put into R2 and the index directly, because bringing millions of lines in would take hours.
 */

import { utf8, type Bytes } from '../../../src/lib/bytes.ts'
import { archiveKey, hourOf, OBJECT_HTTP_METADATA } from '../../../src/logs/archive-object.ts'
import type { CompactLine } from '../../../src/logs/compact/lines.ts'
import { outputOf } from '../../../src/logs/compact/output.ts'
import type { OutputRow } from '../../../src/logs/index/compaction.ts'
import { envelopeOf } from '../../../src/logs/line.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../../src/logs/source-facts.ts'
import type { BenchServer } from '../server.ts'

const HOUR_MS = 3_600_000
const HOURS = 24
/** Inflated bytes of one object at the most, as of one step of the compaction (index/compaction.ts). */
const MAX_OBJECT_BYTES = 32 * 1_024 * 1_024
const LINE_BYTES = 680
const RETENTION_DAYS = 90
/** One is compressed while the lines of the other are made. */
const AT_ONCE = 2
export const DAY_NAMES = 30
/** One node reports it, once, in this hour of the day. */
export const RARE_NAME = 'pack/incident/once'
const RARE_HOUR = 3

export interface DayOptions {
  nodes: number
  /** Of each node. */
  linesAnHour: number
}

export interface Day {
  startMs: number
  lines: number
  /** Inflated. */
  bytes: number
  /** As it lies in R2. */
  storedBytes: number
  objects: number
  objectsAnHour: number
}

/** Spread over the whole range and in order, as ids sorted are. */
export function dayNodeId(node: number, nodes: number): string {
  const head = Math.floor((node / nodes) * 2 ** 32)
  return `${head.toString(16).padStart(8, '0')}-0000-4000-8000-${node.toString(16).padStart(12, '0')}`
}

export function dayName(node: number, line: number): string {
  return `pack/inventory/query_${(node * 7 + line) % DAY_NAMES}`
}

/** Objects of an hour, so that none is too large and each has a line of each node. Pure. */
export function objectsOfAnHour({ nodes, linesAnHour }: DayOptions): number {
  const wanted = Math.ceil((nodes * linesAnHour * LINE_BYTES) / MAX_OBJECT_BYTES)
  for (let objects = Math.max(1, wanted); objects < linesAnHour; objects += 1)
    if (linesAnHour % objects === 0) return objects
  return linesAnHour
}

/** Writes the day before today into an environment that has nothing yet. */
export async function writeDay(
  { env }: Pick<BenchServer, 'env'>,
  environmentId: string,
  options: DayOptions,
): Promise<Day> {
  const startMs = Math.floor(Date.now() / (HOURS * HOUR_MS) - 1) * HOURS * HOUR_MS
  const perHour = objectsOfAnHour(options)
  const archive = () => env.ARCHIVE_INDEX.getByName(environmentId)
  // A swap needs a lease, and a lease needs something to do: one raw row, which the last swap replaces.
  const place = { type: 'result' as const, hour: hourOf(startMs), retentionDays: RETENTION_DAYS }
  const rawKey = await archiveKey({ environmentId, ...place }, ['nothing'], 0)
  const size = { bytes: 0, lineBytes: 0, lines: 0, firstMs: startMs, lastMs: startMs }
  await archive().add([{ key: rawKey, ...place, ...size, nodes: [], names: [], ids: null }])
  const work = await archive().nextWork(Date.now())
  if (work === null) throw new Error('the archive has nothing to do')
  const day = { startMs, lines: 0, bytes: 0, storedBytes: 0, objects: 0, objectsAnHour: perHour }
  const slices = HOURS * perHour
  for (let slice = 0; slice < slices; slice += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, slices - slice) }, (_, i) => slice + i)
    const outputs = await Promise.all(
      some.map((one) => writeObject(env, environmentId, options, startMs, one, perHour)),
    )
    const sources = slice + AT_ONCE >= slices ? work.sources.map(({ sequence }) => sequence) : []
    if (!(await archive().swap(work.token, { sources, outputs }, null))) throw new Error('no swap')
    for (const row of outputs) {
      day.lines += row.lines
      day.bytes += row.lineBytes
      day.storedBytes += row.bytes
      day.objects += 1
    }
  }
  await archive().endWork(work.token, null)
  return day
}

async function writeObject(
  env: Env,
  environmentId: string,
  options: DayOptions,
  startMs: number,
  slice: number,
  perHour: number,
): Promise<OutputRow> {
  const fromMs = startMs + (slice * HOUR_MS) / perHour
  const place = { type: 'result' as const, hour: hourOf(fromMs), retentionDays: RETENTION_DAYS }
  const key = await archiveKey({ environmentId, ...place }, [`day ${slice}`], 0)
  const lines = [...linesOfSlice(environmentId, options, fromMs, slice, perHour)]
  const { row, file } = await outputOf(key, place, lines)
  await env.ARCHIVE.put(key, file, { httpMetadata: OBJECT_HTTP_METADATA })
  return row
}

/** Sorted by node, then by time. */
function* linesOfSlice(
  environmentId: string,
  { nodes, linesAnHour }: DayOptions,
  fromMs: number,
  slice: number,
  perHour: number,
): Generator<CompactLine> {
  const each = linesAnHour / perHour
  const isRareSlice = slice === RARE_HOUR * perHour
  for (let node = 0; node < nodes; node += 1) {
    const nodeId = dayNodeId(node, nodes)
    for (let line = 0; line < each; line += 1) {
      const number = (slice * nodes + node) * each + line
      const receivedAtMs = fromMs + Math.floor(((line + node / nodes) * HOUR_MS) / linesAnHour)
      const name =
        isRareSlice && node === nodes >>> 1 && line === 0 ? RARE_NAME : dayName(node, slice * each + line)
      yield lineOf(environmentId, { node, nodeId, number, receivedAtMs, name })
    }
  }
}

interface DayLine {
  node: number
  nodeId: string
  number: number
  receivedAtMs: number
  name: string
}

function lineOf(environmentId: string, { node, nodeId, number, receivedAtMs, name }: DayLine): CompactLine {
  const head = ((number * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')
  const eventId = `${head}${number.toString(16).padStart(24, '0')}`
  const origin = { environmentId, nodeId, ordinal: node, platform: 'linux', receivedAtMs }
  const source = { ...sourceOf(origin, NOTHING_KNOWN), hostname: `host-${node}.example.com` }
  const facts = { type: 'result' as const, name, ...UNKNOWN_NAME, eventId, index: 0 }
  const agentLine = utf8(textOf(name, node, number, receivedAtMs))
  const ndjson: Bytes = envelopeOf(source, facts, agentLine)
  const end = ndjson.length
  return {
    eventId,
    nodeId,
    name,
    index: 0,
    receivedAtMs,
    sequence: 0,
    ndjson,
    start: 0,
    lineStart: end - 2 - agentLine.length,
    end,
  }
}

function textOf(name: string, node: number, number: number, receivedAtMs: number): string {
  const pid = (number * 7_919) % 65_536
  return (
    `{"name":"${name}","hostIdentifier":"host-${node}","calendarTime":"Sat Nov 22 00:00:00 2025 UTC",` +
    `"unixTime":${Math.floor(receivedAtMs / 1_000)},"epoch":0,"counter":${number},"numerics":false,"columns":{"pid":"${pid}",` +
    `"path":"/usr/lib/x${(number * 31) % 9_973}/bin/process-${pid % 97}","cmdline":"--id=${((number * 40_503) >>> 0).toString(36)}",` +
    `"uid":"${node % 50}"},"action":"added"}`
  )
}
