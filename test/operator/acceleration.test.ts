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

/** Nodes up to this ordinal, as enroll would have made them. */
async function growFleet(nodes: number): Promise<void> {
  const environment = await server.env.DB.prepare(
    "SELECT id FROM environments WHERE name = 'default'",
  ).first()
  const insert = server.env.DB.prepare(
    `WITH RECURSIVE next (n) AS (SELECT 1 + (SELECT MAX(ordinal) FROM nodes WHERE environment_id = ?1)
       UNION ALL SELECT n + 1 FROM next WHERE n < ?2)
     INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
       host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at)
     SELECT 'node-' || n, ?1, n, 'node-' || n, 'host-' || n, 'ubuntu', 'linux', '5.23.1', '', '', '', '', '{}', 1, 1 FROM next`,
  )
  await insert.bind(environment?.['id'], nodes - 1).run()
}

it.each([
  ['a hundred of a small fleet', 600, 100],
  ['a tenth', 3_000, 300],
  ['never more than 20,000', 220_000, 20_000],
])('of a query to all, %s', async (_name, nodes, accelerated) => {
  await growFleet(nodes)
  await server.operator('PATCH', PATH, { share: 0.1 })
  const query = { sql: `SELECT ${nodes}`, targets: { all: true } }
  const opened = created<{ id: string; counts: object }>(
    await server.operator('POST', '/environments/default/queries', query),
  )
  expect(opened.counts).toMatchObject({ targeted: nodes })
  await server.operator('POST', `/environments/default/queries/${opened.id}/watch`)
  expect((await server.operator('GET', PATH)).json()).toMatchObject({ nodes: accelerated })
})
