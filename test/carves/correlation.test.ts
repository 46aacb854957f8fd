/** Which upload belongs to which request: either order of arrival ends in the same row. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failRequestedCarve, linkCarve } from '../../src/db/carve-links.ts'
import { syncCarve } from '../../src/db/carve-sync.ts'
import type { SessionCarve } from '../../src/carves/session-store.ts'
import type { CarveRow } from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId } from '../support/queries.ts'

let server: TestServer
let db: D1Database
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  db = server.env.DB
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

/** One node that was asked for one carve, and its upload. */
function setting() {
  const ids = { environmentId, nodeId: crypto.randomUUID(), queryId: crypto.randomUUID() }
  const carveId = crypto.randomUUID()
  const requestedId = crypto.randomUUID()
  const carve: SessionCarve = {
    rowId: crypto.randomUUID(),
    environmentId,
    nodeId: ids.nodeId,
    carveId,
    requestTag: '',
    objectKey: `carves/${carveId}.tar`,
    plan: { blockSize: 4_096, blockCount: 3, carveSize: 10_240 },
    createdAtMs: 1_000,
  }
  const base = { message: null, blockCount: 3, bytes: 10_240 }
  return {
    requestedId,
    carve,
    request: () =>
      db
        .prepare(
          `INSERT INTO carves (id, environment_id, node_id, query_id, path, status, created_at, updated_at)
           VALUES (?, ?, ?, ?, '/etc/hosts', 'requested', 500, 500)`,
        )
        .bind(requestedId, environmentId, ids.nodeId, ids.queryId)
        .run(),
    link: (guid = carveId) => linkCarve(db, { ...ids, carveId: guid, path: '/etc/hosts' }, 2_000),
    fail: () => failRequestedCarve(db, { ...ids, message: 'no such file' }, 2_000),
    receiving: () =>
      syncCarve(db, carve, { ...base, status: 'receiving', blocksReceived: 2, sha256: null }, null, 3_000),
    complete: () =>
      syncCarve(
        db,
        carve,
        { ...base, status: 'complete', blocksReceived: 3, sha256: 'ab' },
        { message: null, sha256: 'ab', isZstd: false, blocksReceived: 3 },
        4_000,
      ),
    rows: async () =>
      (
        await db
          .prepare('SELECT * FROM carves WHERE node_id = ? ORDER BY id')
          .bind(ids.nodeId)
          .all<CarveRow>()
      ).results,
    queryId: ids.queryId,
  }
}

describe('a requested carve', () => {
  it.each([
    ['the answer first', ['link', 'receiving', 'complete']],
    ['the upload first', ['receiving', 'link', 'complete']],
    ['the answer last', ['receiving', 'complete', 'link']],
    ['the upload told once', ['complete', 'link']],
    ['the answer, then all at once', ['link', 'complete']],
    ['everything twice', ['receiving', 'receiving', 'link', 'link', 'complete', 'complete', 'link']],
    ['a failure that was none', ['fail', 'receiving', 'link', 'complete', 'fail']],
  ] as const)('ends in one row: %s', async (_what, steps) => {
    const it = setting()
    await it.request()
    for (const step of steps) await it[step]()
    const rows = await it.rows()
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({
      id: it.requestedId,
      session_row_id: it.carve.rowId,
      query_id: it.queryId,
      carve_id: it.carve.carveId,
      path: '/etc/hosts',
      status: 'complete',
      message: null,
      blocks_received: 3,
      block_count: 3,
      bytes: 10_240,
      sha256: 'ab',
      object_key: it.carve.objectKey,
      created_at: 500,
    })
  })

  it('is scheduled once the node answered, and no earlier', async () => {
    const it = setting()
    await it.request()
    await it.link()
    expect(await it.rows()).toMatchObject([{ status: 'scheduled', carve_id: it.carve.carveId, bytes: null }])
  })

  it('has failed when the node has nothing to carve, and not any more when it has', async () => {
    const it = setting()
    await it.request()
    await it.fail()
    expect(await it.rows()).toMatchObject([{ status: 'failed', message: 'no such file', carve_id: null }])
    await it.link()
    await it.fail()
    expect(await it.rows()).toMatchObject([{ status: 'scheduled', message: null }])
  })

  it('has a second row where an agent ran the query twice', async () => {
    const it = setting()
    await it.request()
    await it.link(crypto.randomUUID())
    await it.link()
    await it.link()
    await it.complete()
    const rows = await it.rows()
    expect(rows.map(({ query_id: queryId }) => queryId)).toEqual([it.queryId, it.queryId])
    expect(rows.map(({ status }) => status).toSorted()).toEqual(['complete', 'scheduled'])
  })
})

describe('a carve that nobody asked for', () => {
  it('has a row of its own, without a query', async () => {
    const it = setting()
    await it.receiving()
    await it.complete()
    expect(await it.rows()).toMatchObject([
      { id: it.carve.rowId, query_id: null, session_row_id: null, status: 'complete' },
    ])
  })

  it('is not made up by an answer whose request was deleted', async () => {
    const it = setting()
    await it.link()
    await it.fail()
    expect(await it.rows()).toEqual([])
  })

  it('belongs to its query all the same when it was deleted as a request', async () => {
    const it = setting()
    await it.receiving()
    await it.link()
    await it.complete()
    expect(await it.rows()).toMatchObject([{ id: it.carve.rowId, query_id: it.queryId, status: 'complete' }])
  })
})
