/** Queries with a precondition (spec 5.2). */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { SimulatedAgent } from '../../src/simulator/agent.ts'
import { acceptWork } from '../../src/simulator/distributed.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const PATH = '/environments/default/queries'

/** Polls as an agent of this platform until it has something to run, and answers it. */
async function poll(nodeKey: string, platform: 'linux' | 'windows'): Promise<void> {
  const agent = new SimulatedAgent({ url: 'http://127.0.0.1:1', enrollSecret: '', platform, seed: '1' })
  const work = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const accepted = acceptWork(reply.json(), (sql) => agent.runSql(sql))
    return accepted.queries.size === 0 ? null : accepted
  })
  const queries = Object.fromEntries([...work.queries.keys()].map((id) => [id, [{ a: platform }]]))
  await server.agent('/api/osquery/distributed/write', { queries, node_key: nodeKey })
}

it('run where it holds, do not apply elsewhere, and are complete then', async () => {
  const [linux, windows] = [await server.enroll('linux'), await server.enroll('windows')]
  const discovery = "SELECT 1 FROM os_version WHERE platform = 'windows';"
  const body = { sql: 'SELECT 1', targets: { all: true }, discovery }
  const query = created<{ id: string; discovery: string }>(await server.operator('POST', PATH, body))
  expect(query.discovery).toBe(discovery)
  await poll(linux, 'linux')
  await poll(windows, 'windows')
  const shown = (await server.operator('GET', `${PATH}/${query.id}`)).json()
  expect(shown).toMatchObject({ status: 'complete', counts: { answered: 1, notApplicable: 1, pending: 0 } })
  const rows = (await server.operator('GET', `${PATH}/${query.id}/results`)).json<{
    items: { columns: object }[]
  }>()
  expect(rows.items.map(({ columns }) => columns)).toEqual([{ a: 'windows' }])
  const path = `${PATH}/${query.id}/stragglers?reason=not-applicable`
  const stragglers = (await server.operator('GET', path)).json<{ items: { hostname: string }[] }>()
  expect(stragglers.items.map(({ hostname }) => hostname)).toEqual(['linux'])
})

it('are refused with a blank precondition', async () => {
  const body = { sql: 'SELECT 1', targets: { all: true }, discovery: ' ' }
  expect(problemOf(await server.operator('POST', PATH, body))).toEqual({
    status: 422,
    pointers: ['/discovery'],
  })
})
