/** What the inventory asks of D1 is asked by index, whatever the fleet's size: SQLite has no statistics to go by. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, it } from 'vitest'
import { tellAgentFacts } from '../../src/db/agent-facts.ts'
import { readInventory, writeInventory, type InventoryNode } from '../../src/db/inventory.ts'
import { addressHistory, tracesOfNode } from '../../src/db/trace-lookup.ts'
import { forgetTraces } from '../../src/db/trace-erasures.ts'
import { ROOT } from '../support/derived-config.ts'

const database = new DatabaseSync(':memory:')
beforeAll(() => {
  const folder = join(ROOT, 'migrations')
  for (const file of readdirSync(folder).sort()) database.exec(readFileSync(join(folder, file), 'utf8'))
})

/** A D1 that notes each statement and does nothing. */
function noting(): { db: D1Database; statements: string[] } {
  const statements: string[] = []
  const statement = {
    bind: () => statement,
    all: async () => ({ results: [] }),
    first: async () => null,
    run: async () => ({ meta: { changes: 0 } }),
  }
  const db = {
    prepare(sql: string) {
      statements.push(sql)
      return statement
    },
    batch: async () => [],
  }
  return { db: db as unknown as D1Database, statements }
}

const ASKED: [string, (db: D1Database) => Promise<unknown>][] = [
  [
    'tellAgentFacts',
    (db) =>
      tellAgentFacts(db, 'e', [{ ordinal: 1, tidings: { osqueryVersion: '5', addresses: [], left: [] } }], 1),
  ],
  ['readInventory', (db) => readInventory(db, ['a'])],
  [
    'writeInventory',
    (db) => {
      const node = { id: 'x', environmentId: 'e', ordinal: 1, readAt: '{}' } as InventoryNode
      const traces = [{ kinds: ['user' as const], values: [], atMs: 1 }]
      return writeInventory(db, [{ node, change: { hostname: 'a', inventoryAtMs: {}, traces } }], 1)
    },
  ],
  [
    'addressHistory',
    (db) => addressHistory(db, 'e', { first: '4', last: '5', atMs: null, after: null, limit: 5 }),
  ],
  ['tracesOfNode', (db) => tracesOfNode(db, 'x')],
]

/** Tables that grow with the fleet. */
const GROWING = /\b(nodes|node_traces|n|t|o)\b/

describe.each(ASKED)('%s', (_name, ask) => {
  it('walks through no table of the fleet, nor through an environment’s part of one', async () => {
    const { db, statements } = noting()
    await ask(db)
    expect(statements.length).toBeGreaterThan(0)
    for (const sql of statements) {
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]
      const walks = plan
        .map(({ detail }) => detail)
        .filter((detail) => !/VIRTUAL TABLE|trace_erasures|SCAN [sx]$/.test(detail))
        .filter((detail) => GROWING.test(detail))
        .filter((detail) => detail.startsWith('SCAN') || detail.endsWith('(environment_id=?)'))
      expect(walks).toEqual([])
    }
  })
})

describe('the cron duty', () => {
  it('asks one statement of a table that holds what is still to be erased: nothing, nearly always', async () => {
    const { db, statements } = noting()
    await forgetTraces({ DB: db }, 60_000)
    expect(statements).toHaveLength(1)
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${statements[0]}`).all() as { detail: string }[]
    expect(plan.map(({ detail }) => detail).join()).toContain('trace_erasures_open')
  })
})
