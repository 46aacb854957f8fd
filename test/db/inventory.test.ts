/** What a fleet tells of itself on its first day fits into no single parameter of D1: 2 MB (D1 limits), locally not held. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { readInventory, writeInventory } from '../../src/db/inventory.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { enrollHost, makeEnvironment } from '../support/operator.ts'

const NODES = 12
const MAX_PARAMETER_BYTES = 2_000_000
/** Together more than that. */
const DETAILS = { system_info: { cpu_brand: 'é'.repeat(100_000) } }

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** The real D1, and how long the texts are that it is given. */
function measured(db: D1Database): { db: D1Database; bytes: number[] } {
  const bytes: number[] = []
  const prepare = (sql: string): D1PreparedStatement => {
    const statement = db.prepare(sql)
    const bind = (...values: unknown[]) => {
      bytes.push(...values.map((value) => Buffer.byteLength(String(value))))
      return statement.bind(...values)
    }
    return { bind } as unknown as D1PreparedStatement
  }
  const batch = (statements: D1PreparedStatement[]) => db.batch(statements)
  return { db: { prepare, batch } as unknown as D1Database, bytes }
}

it('changes of more than 2 MB are all written, in pieces that D1 takes', async () => {
  const { id, secret } = await makeEnvironment(server, 'large')
  for (let i = 0; i < NODES; i += 1) await enrollHost(server, `node-${i}`, { secret })
  const { DB } = server.env
  const { results } = await DB.prepare('SELECT id FROM nodes WHERE environment_id = ?1')
    .bind(id)
    .all<{ id: string }>()
  const ids = results.map((row) => row.id)
  const nodes = await readInventory(DB, ids)
  const change = { hostDetails: DETAILS, inventoryAtMs: { system_info: 1 } }
  const { bytes, db } = measured(DB)
  const written = await writeInventory(
    db,
    nodes.map((node) => ({ node, change })),
    1,
  )
  expect(written).toEqual(new Set(ids))
  expect(bytes.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(MAX_PARAMETER_BYTES)
  expect(Math.max(...bytes)).toBeLessThan(MAX_PARAMETER_BYTES)
  expect((await readInventory(DB, ids.slice(0, 1)))[0]?.hostDetails).toEqual(DETAILS)
})
