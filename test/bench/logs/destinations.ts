/** Destinations that hold a million lines: they speak the sinks' protocols, and keep of each line its number and its id. */

import { startHttpsServer } from '../../support/sinks/https.ts'
import { startHecServer } from '../../support/sinks/splunk-hec.ts'
import { FIRST_UNIX_TIME_S } from '../log-body.ts'
import { OPERATOR_TOKEN, type BenchServer } from '../server.ts'
import { makeSink } from './operator.ts'

/** So often what came in is counted and let go of. */
const DRAIN_EVERY_MS = 20
/** The types of the lines that are sent: audit lines of what the benchmark does are nobody's business. */
const FILTER = { types: ['result', 'status'] }

/** A line as a destination has it. */
export interface Arrived {
  number: number
  eventId: string
  /** When the edge had it, where the protocol tells. */
  receivedAtMs: number
}

export interface Destination {
  kind: string
  sinkId: string
  /** Told of each line. */
  onLine: (line: Arrived) => void
  /** While true every request is answered with 503. */
  isDown: boolean
  close(): Promise<void>
}

/** The number that `logBody` gave a line. */
export function lineNumber(line: Record<string, unknown>): number {
  return Number(line['unixTime']) - FIRST_UNIX_TIME_S
}

/** A sink of the generic kind with a server of its own. */
export async function startGeneric(
  server: BenchServer,
  name: string,
  delivery: Record<string, unknown> = {},
): Promise<Destination> {
  const https = await startHttpsServer()
  const sinkId = await makeSink(server, https.url, { name, filter: FILTER, delivery })
  https.batches.length = 0
  return destinationOf('https', sinkId, https, (told) => {
    for (const { lines } of https.batches.splice(0)) {
      for (const { eventId, receivedAt, line } of lines) {
        const number = lineNumber(line as Record<string, unknown>)
        told({ number, eventId: String(eventId), receivedAtMs: Date.parse(String(receivedAt)) })
      }
    }
  })
}

/** A Splunk sink with a server of its own. */
export async function startSplunk(server: BenchServer, name: string): Promise<Destination> {
  const hec = await startHecServer()
  // What a heavy forwarder takes; the default of the tests is 1 MB.
  hec.maxContentLength = 10_000_000
  const sinkId = await makeSink(server, hec.url, {
    kind: 'splunk-hec',
    name,
    filter: FILTER,
    secrets: { token: hec.token },
  })
  hec.events.length = 0
  return destinationOf('splunk-hec', sinkId, hec, (told) => {
    for (const { fields, event } of hec.events.splice(0)) {
      told({ number: lineNumber(event), eventId: String(fields['event_id']), receivedAtMs: Number.NaN })
    }
  })
}

interface Served {
  requests: unknown[]
  failures: unknown[]
  close(): Promise<void>
}

function destinationOf(
  kind: string,
  sinkId: string,
  served: Served,
  drain: (told: (line: Arrived) => void) => void,
): Destination {
  const timer = setInterval(() => {
    served.requests.length = 0
    drain((line) => destination.onLine(line))
    served.failures.length = 0
    if (destination.isDown) served.failures.push(...Array.from({ length: 100 }, () => ({ status: 503 })))
  }, DRAIN_EVERY_MS)
  const destination: Destination = {
    kind,
    sinkId,
    onLine: () => undefined,
    isDown: false,
    close() {
      clearInterval(timer)
      return served.close()
    },
  }
  return destination
}

export function sinkPath({ environmentId }: BenchServer, { sinkId }: Destination): string {
  return `/environments/${environmentId}/sinks/${sinkId}`
}

/** Deletes the sink, and stops its server. */
export async function removeSink(server: BenchServer, destination: Destination): Promise<void> {
  const url = new URL(`/api/v1${sinkPath(server, destination)}`, await server.url())
  await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${OPERATOR_TOKEN}` } })
  await destination.close()
}
