/**
 * Every agent route x every binding x every way to fail: what an agent gets is an answer that is true, or `retry`
 * (design section 2, R1-R4). All requests of a mode run at once, because a hang lasts until the deadline.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { BINDINGS, faultOf, prepareRoutes, type AgentRoute } from './agent-routes.ts'

let server: TestServer
let routes: AgentRoute[]
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  routes = await prepareRoutes(server)
})
afterAll(() => server.close())

const ISOLATES: Record<string, Record<string, string>> = { warm: {}, cold: { 'x-test-cold': '1' } }

it.each(['throw', 'hang', 'slow'])(
  'bindings that %s give true answers or retry, in time, in warm and cold isolates',
  async (mode) => {
    const cases = routes.flatMap((route) =>
      BINDINGS.flatMap((bindings) => Object.keys(ISOLATES).map((isolate) => ({ route, bindings, isolate }))),
    )
    const faults = await Promise.all(
      cases.map(async ({ route, bindings, isolate }) => {
        const injected = bindings.split('+').map((one) => `${one}=${mode}`)
        const headers = { ...ISOLATES[isolate], 'x-test-faults': injected.join(',') }
        const fault = faultOf(route, await server.agent(`/api/osquery/${route.path}`, route.body, headers))
        return fault === null ? null : `${route.name} with ${bindings}, ${isolate}: ${fault}`
      }),
    )
    expect(faults.filter((fault) => fault !== null)).toEqual([])
  },
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
