/** The same with the guard before the app: it also turns into `retry` what the app cannot catch (design section 2). */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { BINDINGS, faultOf, prepareRoutes, type AgentRoute } from './agent-routes.ts'

let server: TestServer
let routes: AgentRoute[]
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts', guarded: true })
  routes = await prepareRoutes(server)
})
afterAll(() => server.close())

async function send(route: AgentRoute, headers: Record<string, string>): Promise<string | null> {
  const fault = faultOf(route, await server.agent(`/api/osquery/${route.path}`, route.body, headers))
  return fault === null ? null : `${route.name} with ${JSON.stringify(headers)}: ${fault}`
}

describe('behind the guard', () => {
  it('every endpoint gives its true answer when nothing fails', async () => {
    for (const route of routes) {
      const reply = await server.agent(`/api/osquery/${route.path}`, route.body)
      expect([route.name, reply.status]).toEqual([route.name, 200])
      expect(reply.text).toMatch(route.answer)
    }
  })

  it.concurrent.each(['throw', 'hang'])('bindings that %s give true answers or retry', async (mode) => {
    const faults = await Promise.all(
      routes.flatMap((route) =>
        BINDINGS.map((bindings) => {
          const injected = bindings.split('+').map((one) => `${one}=${mode}`)
          return send(route, { 'x-test-faults': injected.join(','), 'x-test-cold': '1' })
        }),
      ),
    )
    expect(faults.filter((fault) => fault !== null)).toEqual([])
  })

  it.concurrent.each(['throw', 'hang', 'empty', 'foreign-json', 'not-modified', 'html'])(
    'an app that breaks down (%s) is retry on every endpoint',
    async (how) => {
      for (const reply of await Promise.all(
        routes.map(({ path, body }) =>
          server.agent(`/api/osquery/${path}`, body, { 'x-test-breakdown': how }),
        ),
      )) {
        expect([reply.status, reply.text]).toEqual([503, 'retry'])
      }
    },
  )

  it('operators\u2019 routes are not on the agents\u2019 hostname', async () => {
    const reply = await server.operator('GET', '/environments')
    expect(reply.text).toBe('retry')
  })
})
