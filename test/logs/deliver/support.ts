/** What the tests of sinks share. */

import type { TestServer } from '../../support/harness.ts'
import { created, makeEnvironment } from '../../support/operator.ts'
import { startHttpsServer, type HttpsServer } from '../../support/sinks/https.ts'
import { writeObjects, type Written } from '../support.ts'

export interface SinkView {
  id: string
  revision: number
  live: boolean
  paused: boolean
  secretNames: string[]
  settings: Record<string, unknown>
  health: {
    state: string
    lag: { lines: number; objects: number; seconds: number } | null
    lastError: { at: string; reason: string } | null
    nextAttemptAt: string | null
    delivered: { lines: number; bytes: number }
    rejectedLines: number
    missed: { objects: number; lines: number }
  } | null
}

/** An environment of its own, with ways to fill its archive and to make sinks. */
export interface SinkWorld {
  environmentId: string
  /** The path of its sinks. */
  path: string
  /** A sink of the generic kind at a server. */
  makeSink(destination: HttpsServer, more?: Record<string, unknown>): Promise<SinkView>
  sink(id: string): Promise<SinkView>
  /** Archives one object for each list of lines, and wakes whom it should. */
  archive(...objects: Written[][]): Promise<void>
}

let worlds = 0

export async function newWorld(server: TestServer): Promise<SinkWorld> {
  worlds += 1
  const { id: environmentId } = await makeEnvironment(server, `sinks-${process.pid}-${worlds}`)
  const path = `/environments/${environmentId}/sinks`
  return {
    environmentId,
    path,
    async makeSink(destination, more = {}) {
      const body = {
        name: `sink ${Math.random()}`,
        kind: 'https',
        settings: { url: destination.url },
        ...more,
      }
      const { id } = created<SinkView>(await server.operator('POST', path, body))
      const world = created<SinkView>(await server.operator('GET', `${path}/${id}`), 200)
      // What the tests look at are lines, not the test delivery.
      destination.batches.length = 0
      destination.requests.length = 0
      return world
    },
    async sink(id) {
      return created<SinkView>(await server.operator('GET', `${path}/${id}`), 200)
    },
    archive: (...objects) => writeObjects(server.env, environmentId, objects),
  }
}

const NODE = '0f8e5b9a-5a0c-4f57-9d0b-6f6d5b1d7c11'

/** Lines with these event ids, received just now. */
export function linesNamed(eventIds: readonly string[], more: Partial<Written> = {}): Written[] {
  const atMs = Date.now()
  return eventIds.map((eventId, index) => ({
    eventId,
    nodeId: NODE,
    type: 'result',
    name: 'a_query',
    atMs,
    index,
    ...more,
  }))
}

/** So many event ids that begin with this. */
export function idsNamed(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${String(at).padStart(4, '0')}`)
}

/** Waits until a server has taken all of these lines. */
export async function untilTaken(
  server: TestServer,
  destination: HttpsServer,
  eventIds: readonly string[],
): Promise<void> {
  await server.until(async () => {
    const taken = destination.eventIds()
    return eventIds.every((id) => taken.has(id))
  })
}

export { startHttpsServer, type HttpsServer }
