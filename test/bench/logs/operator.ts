/** What the benchmark asks of the operators' route. */

import { OPERATOR_TOKEN, type BenchServer } from '../server.ts'

/** A request to the admin route, below its root; the reply's object. Throws where it is refused. */
export async function operator<T>(
  server: BenchServer,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const reply = await fetch(new URL(`/api/v1${path}`, await server.url()), {
    method,
    headers: { authorization: `Bearer ${OPERATOR_TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`)
  return JSON.parse(text) as T
}

/** Makes a sink; of the generic kind where nothing else is said. Its id. */
export async function makeSink(
  server: BenchServer,
  url: string,
  more: Record<string, unknown>,
): Promise<string> {
  const body = { kind: 'https', settings: { url }, ...more }
  const { id } = await operator<{ id: string }>(
    server,
    'POST',
    `/environments/${server.environmentId}/sinks`,
    body,
  )
  return id
}
