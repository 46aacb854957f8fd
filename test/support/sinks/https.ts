/** A destination of the generic HTTPS sink: checks the bearer, keeps the lines by event id, refuses what it is told to. */

import { gunzipSync } from 'node:zlib'
import { startDestination, type Destination } from './destination.ts'

export interface HttpsServer extends Destination {
  /** Null: anybody may. */
  bearerToken: string | null
  maxBodyBytes: number
  /** Requests whose text holds this are answered with 400. */
  poison: string | null
  /** What was taken: every batch, in order. */
  batches: { idempotencyKey: string; lines: Record<string, unknown>[] }[]
  /** Event ids of what was taken, once each. */
  eventIds(): Set<string>
}

export async function startHttpsServer(): Promise<HttpsServer> {
  const batches: HttpsServer['batches'] = []
  const destination = await startDestination(
    () => ({ maxBodyBytes: server.maxBodyBytes, tooLarge: { status: 413 } }),
    ({ headers, body }) => {
      if (server.bearerToken !== null && headers['authorization'] !== `Bearer ${server.bearerToken}`)
        return { status: 401 }
      const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
      if (server.poison !== null && text.includes(server.poison)) return { status: 400 }
      const isArray = headers['content-type'] === 'application/json'
      const lines = isArray
        ? (JSON.parse(text) as Record<string, unknown>[])
        : text
            .split('\n')
            .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
      batches.push({ idempotencyKey: headers['idempotency-key'] ?? '', lines })
      return { status: 200, body: '{}' }
    },
  )
  const server: HttpsServer = Object.assign(destination, {
    bearerToken: null,
    maxBodyBytes: 10_000_000,
    poison: null,
    batches,
    eventIds: () => new Set(batches.flatMap(({ lines }) => lines.map((line) => String(line['eventId'])))),
  })
  return server
}
