/** The seven agent endpoints with a request each that is answered when nothing fails, for tests that break things. */

import { ENROLL_SECRET, type Reply, type TestServer } from '../support/harness.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'

/** Every binding, and the two layers of each snapshot at once. */
export const BINDINGS = [
  'DB',
  'DIRECTORY',
  'ENVIRONMENT',
  'PRESENCE',
  'ANSWER_SHARD',
  'ARCHIVE_INDEX',
  'CARVE_SESSION',
  'ARCHIVE',
  'CARVES',
  'LOGS',
  'ENVIRONMENT+ARCHIVE',
  'DIRECTORY+ARCHIVE',
]

/** An agent gives up at 16 s (spec 1.3), we answer within 8 s (design R10); the rest is for a busy machine. */
const WITHIN_MS = 13_000

export interface AgentRoute {
  name: string
  path: string
  body: Record<string, unknown>
  /** What a true answer looks like. */
  answer: RegExp
}

/** Enrolls a node, opens a query for it, begins a carve; returns a request for every endpoint. */
export async function prepareRoutes(server: TestServer): Promise<AgentRoute[]> {
  const nodeKey = await server.enroll('victim')
  await openQuery(server, 'SELECT 1 AS one', [await ordinalOf(server, 'victim')])
  const id = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    return Object.keys(reply.json<{ queries?: object }>().queries ?? {})[0]
  })
  const carve = { block_count: 2, block_size: 4_096, carve_size: 5_000, carve_id: 'c-1', request_id: 'r-1' }
  const begun = await server.agent('/api/osquery/carve/begin', { ...carve, node_key: nodeKey })
  const { session_id: sessionId } = begun.json<{ session_id?: string }>()
  const line = { name: 'pack/x', hostIdentifier: 'victim', unixTime: 1, columns: { a: '1' }, action: 'added' }
  return [
    {
      name: 'enroll',
      path: 'enroll',
      body: { enroll_secret: ENROLL_SECRET, host_identifier: 'another' },
      answer: /^\{"node_key":"oen1-[^"]+"\}$/,
    },
    { name: 'config', path: 'config', body: { node_key: nodeKey }, answer: /"schedule":/ },
    {
      name: 'log',
      path: 'log',
      body: { data: [line], log_type: 'result', node_key: nodeKey },
      answer: /^\{\}$/,
    },
    {
      name: 'read',
      path: 'distributed/read',
      body: { node_key: nodeKey },
      answer: /^\{(\}$|"queries":)/,
    },
    {
      name: 'write',
      path: 'distributed/write',
      body: { queries: { [id]: [{ one: '1' }] }, statuses: { [id]: 0 }, node_key: nodeKey },
      answer: /^\{\}$/,
    },
    {
      name: 'carve begin',
      path: 'carve/begin',
      body: { ...carve, carve_id: 'c-2', node_key: nodeKey },
      answer: /^\{"session_id":"[^"]+"/,
    },
    {
      name: 'carve block',
      path: 'carve/block',
      body: { block_id: 0, session_id: sessionId, request_id: 'r-1', data: btoa('x'.repeat(4_096)) },
      answer: /^\{\}$/,
    },
  ]
}

/** Null where the reply is an answer that is true, or `retry`; else what is wrong with it (design R1-R4). */
export function faultOf(route: AgentRoute, reply: Reply): string | null {
  const tookMs = Number(reply.headers.get('x-test-took-ms') ?? 0)
  if (tookMs > WITHIN_MS) return `took ${tookMs} ms`
  if (reply.text === 'retry') return reply.status >= 400 ? null : `retry with status ${reply.status}`
  if (reply.status !== 200) return `status ${reply.status} with ${reply.text.slice(0, 100)}`
  return route.answer.test(reply.text) ? null : `said ${reply.text.slice(0, 100)}`
}
