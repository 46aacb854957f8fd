/** GET and PATCH …/acceleration. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
  await server.enroll('web-1')
})
afterAll(() => server.close())

const PATH = '/environments/default/acceleration'

it('says the share and what is accelerated now; a share of zero ends it', async () => {
  const before = await server.operator('GET', PATH)
  expect(before.json()).toEqual({ share: 0.1, nodes: 0, until: null, lapsesAfterSeconds: 600 })
  const query = { sql: 'SELECT 1', targets: { all: true } }
  const { id } = created(await server.operator('POST', '/environments/default/queries', query))
  await server.operator('POST', `/environments/default/queries/${id}/watch`)
  expect((await server.operator('GET', PATH)).json()).toMatchObject({
    nodes: 1,
    until: expect.stringMatching(/Z$/) as string,
  })
  const set = await server.operator('PATCH', PATH, { share: 0 })
  expect(set.json()).toMatchObject({ share: 0, nodes: 0, until: null, live: true })
  const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: { action: string }[] }>()
  expect(audit.items[0]?.action).toBe('acceleration.set')
})

it.each([[{ share: 1.5 }], [{ share: -0.1 }], [{ share: 'all' }], [{}]])('refuses %j', async (body) => {
  expect(problemOf(await server.operator('PATCH', PATH, body))).toEqual({ status: 422, pointers: ['/share'] })
})
