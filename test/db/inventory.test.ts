/** What a fleet tells of itself on its first day fits into no single parameter of D1. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { readInventory, writeInventory } from '../../src/db/inventory.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { enrollHost, makeEnvironment } from '../support/operator.ts'

const NODES = 40
/** Together more than D1's 2 MB for one parameter. */
const DETAILS = { system_info: { cpu_brand: 'é'.repeat(40_000) } }

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

it('changes of more than 2 MB are all written', async () => {
  const { id, secret } = await makeEnvironment(server, 'large')
  for (let i = 0; i < NODES; i += 1) await enrollHost(server, `node-${i}`, { secret })
  const { DB } = server.env
  const { results } = await DB.prepare('SELECT id FROM nodes WHERE environment_id = ?1')
    .bind(id)
    .all<{ id: string }>()
  const ids = results.map((row) => row.id)
  const nodes = await readInventory(DB, ids)
  const change = { hostDetails: DETAILS, inventoryAtMs: { system_info: 1 } }
  const written = await writeInventory(
    DB,
    nodes.map((node) => ({ node, change })),
    1,
  )
  expect(written).toEqual(new Set(ids))
  const after = await readInventory(DB, ids.slice(0, 1))
  expect(after[0]?.hostDetails).toEqual(DETAILS)
})
