/** From what was counted to a month of a fleet. Pure: every number that is not arithmetic comes in as `Units`. */

import { MONTH_SECONDS, noUsage, OBJECT_GB, type Usage } from '../prices.ts'

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
}

/** What one log POST with so many bytes of lines causes before the consumer has it. */
export interface PostUnits {
  lineBytes: number
  port: Port
  queueOperations: number
  r2ClassA: number
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
/** How long archive objects are kept (logs/archive-object.ts). */
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
  const postBytes = lineBytesPerPost(fleet)
  usage.workerRequests += month(batches)
  usage.workerCpuMs += month(logs * cpuMs.consumerPerMessage)
  // Each batch closes its pieces; beyond that, one more put for each full piece.
  usage.r2ClassA += month(
    batches * consumer.r2ClassAPerBatch + Math.max(0, (logs * postBytes) / PIECE_BYTES - batches),
  )
  usage.r2ClassB += month(logs * consumer.r2ClassBPerMessage[fleet.port])
  usage.objectRequests += month(batches * consumer.objectRequestsPerBatch)
  usage.objectRowsWritten += month(batches * consumer.rowsWrittenPerBatch)
  usage.objectRowsRead += month(batches * consumer.rowsReadPerBatch)
  usage.d1RowsRead += month(logs * consumer.d1RowsReadPerMessage)
  usage.r2GbMonths += (fleet.nodes * fleet.lineBytesPerDay * units.storedShare * RETENTION_DAYS) / 1e9
}

/** What isolates ask of the Environment and Presence objects, together. */
export function isolateCalls(fleet: Fleet): { heads: number; flushes: number; presenceObjects: number } {
  const perIsolate = requestsPerSecond(fleet) / fleet.isolates
  const presenceObjects = Math.ceil(fleet.nodes / NODES_PER_PRESENCE_OBJECT)
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
