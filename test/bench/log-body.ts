/** Log POSTs as agents send them: result lines of a process query, about 400 bytes each. */

import { gzipSync } from 'node:zlib'

/** A line's number is in it: this is the `unixTime` of line 0. */
export const FIRST_UNIX_TIME_S = 1_763_769_600

/** One differential result line. Numbers vary, so that lines compress as real ones do and not to nothing. */
export function resultLine(hostIdentifier: string, number: number): Record<string, unknown> {
  const pid = 1_000 + ((number * 7_919) % 60_000)
  const unixTime = FIRST_UNIX_TIME_S + number
  const name = `pack/inventory/query_${number % 30}`
  return {
    name,
    hostIdentifier,
    calendarTime: 'Sat Nov 22 00:00:00 2025 UTC',
    unixTime,
    epoch: 0,
    counter: nextCounter(hostIdentifier, name),
    numerics: false,
    decorations: { host_uuid: hostIdentifier, hostname: `host-${hostIdentifier.slice(0, 8)}` },
    columns: {
      pid: String(pid),
      name: `process-${pid % 97}`,
      path: `/usr/lib/${(number * 2_654_435_761) >>> 0}/process-${pid % 97}`,
      cmdline: `--id=${((number * 40_503) >>> 0).toString(36)} --socket=/run/${pid}.sock`,
    },
    action: 'added',
  }
}

const counters = new Map<string, number>()

/** Agents count the results of each query without gaps (spec 4.5): what has some is noted, and costs rows. */
function nextCounter(hostIdentifier: string, name: string): number {
  const key = `${hostIdentifier}/${name}`
  const counter = counters.get(key) ?? 0
  counters.set(key, counter + 1)
  return counter
}

function statusLine(hostIdentifier: string, number: number): Record<string, unknown> {
  return {
    hostIdentifier,
    calendarTime: 'Sat Nov 22 00:00:00 2025 UTC',
    unixTime: String(FIRST_UNIX_TIME_S + number),
    severity: '0',
    filename: 'scheduler.cpp',
    line: String(100 + (number % 50)),
    message: `Executing scheduled query pack_inventory_query_${number % 30}: SELECT pid, name, path FROM processes`,
    version: '5.23.1',
    decorations: { host_uuid: hostIdentifier },
  }
}

export interface LogBody {
  bytes: Uint8Array<ArrayBuffer>
  headers: Record<string, string>
  lines: number
  /** Bytes of the lines alone. */
  lineBytes: number
}

let serial = 0
/** The number of the last line that was made. */
export function lastLineNumber(): number {
  return serial
}

/** A POST of so many lines that never came before: the inbox would store an equal one only once. */
export function logBody(
  node: { nodeId: string; nodeKey: string },
  lines: number,
  { compressed = true, type = 'result' }: { compressed?: boolean; type?: 'result' | 'status' } = {},
): LogBody {
  const make = type === 'result' ? resultLine : statusLine
  const data = Array.from({ length: lines }, () => make(node.nodeId, (serial += 1)))
  const text = JSON.stringify({ node_key: node.nodeKey, log_type: type, data })
  const lineBytes = JSON.stringify(data).length
  if (!compressed) return { bytes: Buffer.from(text), headers: {}, lines, lineBytes }
  return { bytes: gzipSync(text), headers: { 'content-encoding': 'gzip' }, lines, lineBytes }
}
