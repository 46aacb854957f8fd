/** From what was counted to a month of a fleet. Pure: every number that is not arithmetic comes in as `Units`. */

import { MONTH_SECONDS, noUsage, OBJECT_GB, type Usage } from './prices.ts'

export type Port = 'queue' | 'inbox'

export interface Intervals {
  distributedS: number
  configS: number
  logS: number
}

export interface Fleet {
  nodes: number
  isolates: number
  intervals: Intervals
  /** Bytes of log lines, as agents write them, for each node and day. */
  lineBytesPerDay: number
  port: Port
  /** How long archive objects are kept; absent: as long as where nothing is set (logs/retention.ts). */
  retentionDays?: number
}

/** What one log POST with so many bytes of lines causes before the consumer has it. */
export interface PostUnits {
  lineBytes: number
  port: Port
  queueOperations: number
  r2ClassA: number
}

/** What a part of compaction causes. Rows are those of the Archive object. */
export interface CompactionShare {
  workerRequests: number
  queueOperations: number
  objectRequests: number
  rowsRead: number
  rowsWritten: number
  r2ClassA: number
  r2ClassB: number
}

/** All that was measured. Rows are those of objects' SQLite unless D1 is named. */
export interface Units {
  cpuMs: { read: number; config: number; log: Record<Port, number>; consumerPerMessage: number }
  /** The nearest size is used. */
  posts: PostUnits[]
  /** Bytes in the archive for each byte of lines. */
  storedShare: number
  /** Operations of the consumer for each of the senders'. */
  consumerShare: number
  consumer: {
    objectRequestsPerBatch: number
    rowsWrittenPerBatch: number
    rowsReadPerBatch: number
    r2ClassAPerBatch: number
    d1RowsReadPerMessage: number
    r2ClassBPerMessage: Record<Port, number>
  }
  /** Of a wake-up for nothing, of each object that is compacted, and of each step beside its objects. */
  compaction: { wake: CompactionShare; object: CompactionShare; step: CompactionShare; cpuMsPerMb: number }
  head: { rowsRead: number; activeMs: number }
  flush: { activeMs: number }
  /** Of the cron trigger each minute and of objects' alarms each five minutes, together. */
  background: {
    workerRequestsPerMinute: number
    r2ClassAPerMinute: number
    objectRequestsPerFiveMinutes: number
    rowsWrittenPerFiveMinutes: number
    r2ClassAPerFiveMinutes: number
  }
}

/** T of the freshness rule (snapshot/fresh-value.ts). */
const HEAD_FRESH_FOR_S = 2
/** Flushes of one isolate (presence/buffer.ts). */
const FLUSH_EVERY_S = 15
/** Flushes further apart are written through at once, others once a minute (presence/presence.ts). */
const QUIET_S = 5
const NODES_PER_CHUNK = 4_096
const NODES_PER_PRESENCE_OBJECT = 65_536
/** wrangler.toml: max_batch_size and max_batch_timeout. */
const BATCH_MESSAGES = 100
const BATCH_TIMEOUT_S = 5
/** An archive object is written when its lines come to this (logs/archive-writer.ts). */
const PIECE_BYTES = 4 * 1_024 * 1_024
/** The cron trigger wakes compaction so often (logs/compact/schedule.ts). */
const WAKES_PER_HOUR = 4
/** A step holds so many inflated bytes, and so many objects (logs/index/compaction.ts). */
const STEP_BYTES = 32 * 1_024 * 1_024
const STEP_OBJECTS = 1_000
/**
 * Rows of an object that go an hour after it was replaced (`retire`): read off the statements, because nobody waits for
 * it here. The row with its indexes, its ids, and its key on the list of garbage and off it again.
 */
const ROWS_RETIRED_PER_OBJECT = 7
const HOUR_S = 3_600
/** How long archive objects are kept where nothing else is set (logs/retention.ts). */
const RETENTION_DAYS = 90

export interface Rates {
  reads: number
  configs: number
  logs: number
}

/** Requests a second of the whole fleet. */
export function ratesOf({ nodes, intervals }: Pick<Fleet, 'nodes' | 'intervals'>): Rates {
  const { distributedS, configS, logS } = intervals
  return { reads: nodes / distributedS, configs: nodes / configS, logs: nodes / logS }
}

export function requestsPerSecond(fleet: Pick<Fleet, 'nodes' | 'intervals'>): number {
  const { reads, configs, logs } = ratesOf(fleet)
  return reads + configs + logs
}

/** How often one isolate asks for the head: the first request that comes T after the last answer does. */
export function headsPerSecond(requestsPerSecond: number): number {
  return requestsPerSecond / (1 + requestsPerSecond * HEAD_FRESH_FOR_S)
}

/**
 * How often one isolate flushes to one Presence object: each 15 s if anything came, else at the next request. Requests
 * come at random.
 */
export function flushesPerSecond(requestsPerSecond: number): number {
  if (requestsPerSecond === 0) return 0
  const nothingCame = Math.exp(-requestsPerSecond * FLUSH_EVERY_S)
  return 1 / (FLUSH_EVERY_S + nothingCame / requestsPerSecond)
}

/** Batches of the consumer: full ones, or what came since the first message waited its time out. */
export function batchesPerSecond(messagesPerSecond: number): number {
  if (messagesPerSecond === 0) return 0
  const fillS = BATCH_MESSAGES / messagesPerSecond
  return 1 / Math.min(fillS, BATCH_TIMEOUT_S + 1 / messagesPerSecond)
}

/** Line bytes of one log POST. */
export function lineBytesPerPost({ lineBytesPerDay, intervals }: Fleet): number {
  return (lineBytesPerDay * intervals.logS) / 86_400
}

/** Units a month. */
export function usageOf(fleet: Fleet, units: Units): Usage {
  const usage = noUsage()
  const month = (perSecond: number) => perSecond * MONTH_SECONDS
  addRequests(usage, fleet, units, month)
  addConsumer(usage, fleet, units, month)
  addIsolates(usage, fleet, units, month)
  addCompaction(usage, fleet, units, month)
  const { background } = units
  usage.workerRequests += month(background.workerRequestsPerMinute / 60)
  usage.r2ClassA += month(background.r2ClassAPerMinute / 60 + background.r2ClassAPerFiveMinutes / 300)
  usage.objectRequests += month(background.objectRequestsPerFiveMinutes / 300)
  usage.objectRowsWritten += month(background.rowsWrittenPerFiveMinutes / 300)
  return usage
}

type Month = (perSecond: number) => number

function addRequests(usage: Usage, fleet: Fleet, units: Units, month: Month): void {
  const { reads, configs, logs } = ratesOf(fleet)
  const { cpuMs } = units
  usage.workerRequests += month(reads + configs + logs)
  usage.workerCpuMs += month(reads * cpuMs.read + configs * cpuMs.config + logs * cpuMs.log[fleet.port])
  const { queueOperations, r2ClassA } = postUnits(fleet, units)
  usage.queueOperations += month(logs * queueOperations * (1 + units.consumerShare))
  usage.r2ClassA += month(logs * r2ClassA)
}

/** What was measured at the POST size that is nearest. */
export function postUnits(fleet: Fleet, { posts }: Units): PostUnits {
  const wanted = Math.log(lineBytesPerPost(fleet))
  const [nearest] = posts
    .filter(({ port }) => port === fleet.port)
    .sort((a, b) => Math.abs(Math.log(a.lineBytes) - wanted) - Math.abs(Math.log(b.lineBytes) - wanted))
  if (nearest === undefined) throw new Error(`no POST of port ${fleet.port} was measured`)
  return nearest
}

function addConsumer(usage: Usage, fleet: Fleet, units: Units, month: Month): void {
  const { logs } = ratesOf(fleet)
  const { consumer, cpuMs } = units
  const batches = batchesPerSecond(logs)
  usage.workerRequests += month(batches)
  usage.workerCpuMs += month(logs * cpuMs.consumerPerMessage)
  // Each batch closes its pieces; beyond that, one more put for each full piece.
  usage.r2ClassA += month(objectsPerSecond(fleet, units))
  usage.r2ClassB += month(logs * consumer.r2ClassBPerMessage[fleet.port])
  usage.objectRequests += month(batches * consumer.objectRequestsPerBatch)
  usage.objectRowsWritten += month(batches * consumer.rowsWrittenPerBatch)
  usage.objectRowsRead += month(batches * consumer.rowsReadPerBatch)
  usage.d1RowsRead += month(logs * consumer.d1RowsReadPerMessage)
  const days = fleet.retentionDays ?? RETENTION_DAYS
  usage.r2GbMonths += (fleet.nodes * fleet.lineBytesPerDay * units.storedShare * days) / 1e9
}

/** Archive objects that the consumer writes in a second. */
export function objectsPerSecond(fleet: Fleet, { consumer }: Pick<Units, 'consumer'>): number {
  const { logs } = ratesOf(fleet)
  const batches = batchesPerSecond(logs)
  const full = (logs * lineBytesPerPost(fleet)) / PIECE_BYTES
  return batches * consumer.r2ClassAPerBatch + Math.max(0, full - batches)
}

function addCompaction(usage: Usage, fleet: Fleet, units: Units, month: Month): void {
  const { wake, object, step, cpuMsPerMb } = units.compaction
  const lineBytes = (fleet.nodes * fleet.lineBytesPerDay) / 86_400
  const objects = objectsPerSecond(fleet, units)
  const steps = Math.max(lineBytes / STEP_BYTES, objects / STEP_OBJECTS, Math.min(objects, 1 / HOUR_S))
  const all = (key: keyof CompactionShare) =>
    month((WAKES_PER_HOUR / HOUR_S) * wake[key] + objects * object[key] + steps * step[key])
  usage.workerRequests += all('workerRequests')
  usage.workerCpuMs += month((lineBytes / 1e6) * cpuMsPerMb)
  usage.queueOperations += all('queueOperations')
  usage.objectRequests += all('objectRequests')
  usage.objectRowsRead += all('rowsRead')
  usage.objectRowsWritten += all('rowsWritten') + month(objects * ROWS_RETIRED_PER_OBJECT)
  usage.r2ClassA += all('r2ClassA')
  usage.r2ClassB += all('r2ClassB')
}

/** What isolates ask of the Environment and Presence objects, together. */
export function isolateCalls(fleet: Fleet): { heads: number; flushes: number; presenceObjects: number } {
  const perIsolate = requestsPerSecond(fleet) / fleet.isolates
  const presenceObjects = Math.max(1, Math.ceil(fleet.nodes / NODES_PER_PRESENCE_OBJECT))
  return {
    heads: fleet.isolates * headsPerSecond(perIsolate),
    flushes: fleet.isolates * presenceObjects * flushesPerSecond(perIsolate / presenceObjects),
    presenceObjects,
  }
}

function addIsolates(usage: Usage, fleet: Fleet, { head, flush }: Units, month: Month): void {
  const { heads, flushes, presenceObjects } = isolateCalls(fleet)
  usage.objectRequests += month(heads + flushes)
  usage.objectRowsRead += month(heads * head.rowsRead)
  const busy = Math.min(1, (heads * head.activeMs) / 1_000)
  const busyPresence = presenceObjects * Math.min(1, (flushes * flush.activeMs) / 1_000 / presenceObjects)
  usage.objectGbSeconds += month((busy + busyPresence) * OBJECT_GB)
  const chunks = Math.ceil(fleet.nodes / NODES_PER_CHUNK)
  const flushEveryS = presenceObjects / flushes
  usage.objectRowsWritten += month(chunks / (flushEveryS > QUIET_S ? flushEveryS : 60))
}

/** When something that waits for a node's next poll happens: any moment of the interval is as likely. */
export function waitS(intervalS: number): { median: number; p95: number } {
  return { median: intervalS * 0.5, p95: intervalS * 0.95 }
}

/** When the first of so many nodes polls, each at a moment of its own within the interval. */
export function firstWaitS(intervalS: number, nodes: number): { median: number; p95: number } {
  const within = (share: number) => intervalS * (1 - (1 - share) ** (1 / nodes))
  return { median: within(0.5), p95: within(0.95) }
}
