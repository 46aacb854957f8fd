/**
 * Every agent route x every binding x every way to fail: what an agent gets is an answer that is true, or `retry`
 * (design section 2, R1-R4). All requests of a mode run at once, because a hang lasts until the deadline.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, ENROLL_SECRET, type Reply, type TestServer } from '../support/harness.ts'
import { configWithEntry } from '../support/derived-config.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'

const BINDINGS = [
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
  // The snapshot's both layers at once.
  'ENVIRONMENT+ARCHIVE',
  'DIRECTORY+ARCHIVE',
]
const WITHIN_MS = 9_500

interface Route {
  name: string
  path: string
  body: Record<string, unknown>
  /** What a true answer looks like. */
  answer: RegExp
}

let server: TestServer
let routes: Route[]
beforeAll(async () => {
  server = await startServer({ configPath: configWithEntry('test/faults/entry.ts') })
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
  routes = [
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
}, 60_000)
afterAll(() => server.close())

function isTrueOrRetry(route: Route, reply: Reply): string | null {
  if (reply.text === 'retry') return reply.status >= 400 ? null : `retry with status ${reply.status}`
  if (reply.status !== 200) return `status ${reply.status} with ${reply.text.slice(0, 100)}`
  return route.answer.test(reply.text) ? null : `said ${reply.text.slice(0, 100)}`
}

const CASES = (['throw', 'hang', 'slow'] as const).flatMap((mode) => [
  { mode, isolate: 'warm', headers: {} as Record<string, string> },
  { mode, isolate: 'cold', headers: { 'x-test-cold': '1' } as Record<string, string> },
])

// Concurrent: each hang lasts until the deadline.
it.concurrent.each(CASES)(
  'bindings that $mode give true answers or retry, in time, in a $isolate isolate',
  async ({ mode, headers }) => {
    const faults = await Promise.all(
      routes.flatMap((route) =>
        BINDINGS.map(async (bindings) => {
          const startedAtMs = Date.now()
          const injected = bindings.split('+').map((one) => `${one}=${mode}`)
          const reply = await server.agent(`/api/osquery/${route.path}`, route.body, {
            ...headers,
            'x-test-faults': injected.join(','),
          })
          const tookMs = Date.now() - startedAtMs
          const fault = tookMs > WITHIN_MS ? `took ${tookMs} ms` : isTrueOrRetry(route, reply)
          return fault === null ? null : `${route.name} with ${bindings}: ${fault}`
        }),
      ),
    )
    expect(faults.filter((fault) => fault !== null)).toEqual([])
  },
  60_000,
)

it('config and distributed read go on with D1 away', async () => {
  for (const route of routes.filter(({ name }) => name === 'config' || name === 'read')) {
    const reply = await server.agent(`/api/osquery/${route.path}`, route.body, {
      'x-test-faults': 'DB=throw',
    })
    expect([route.name, reply.status]).toEqual([route.name, 200])
  }
})

it('config goes on from the copy in R2 when its object is away, in a cold isolate too', async () => {
  const config = routes.find(({ name }) => name === 'config')
  const reply = await server.agent('/api/osquery/config', config?.body, {
    'x-test-cold': '1',
    'x-test-faults': 'ENVIRONMENT=throw,DB=throw',
  })
  expect(reply.text).toMatch(/"schedule":/)
})

it('never says node_invalid because a store is away', async () => {
  const faults = 'DB=throw,DIRECTORY=throw,ENVIRONMENT=throw,ARCHIVE=throw'
  for (const { path, body } of routes) {
    const reply = await server.agent(`/api/osquery/${path}`, body, {
      'x-test-cold': '1',
      'x-test-faults': faults,
    })
    expect(reply.text).not.toContain('node_invalid')
    expect(reply.text).not.toContain('SELECT')
  }
})
