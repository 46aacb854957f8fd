/** What a session object survives: eviction, silence, D1 away, a day's quota, erasure in the middle. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { carveTagOf } from '../../src/carves/claim.ts'
import {
  announcement,
  archiveOf,
  begin,
  carveOf,
  carveRow,
  rowWithStatus,
  sendBlock,
  sendBlocks,
  sha256Of,
  storedArchive,
  type Carve,
} from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId, openQuery, ordinalOf } from '../support/queries.ts'

const MIB = 1_024 * 1_024

let server: TestServer
let nodeKey: string
let nodeId: string
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('carved')
  environmentId = await defaultEnvironmentId(server)
  const row = await server.env.DB.prepare("SELECT id FROM nodes WHERE hostname = 'carved'").first<{
    id: string
  }>()
  nodeId = row?.id ?? ''
})
afterAll(() => server.close())

async function objectOf(carve: Carve): Promise<{ name: string }> {
  return { name: `${environmentId}/${nodeId}/${await carveTagOf(carve.carveId)}` }
}

async function sqlOf(carve: Carve, sql: string): Promise<unknown> {
  const storage = await server.worker.getDurableObjectStorage('CARVE_SESSION', await objectOf(carve))
  return storage.exec(sql)
}

/** Throws the object out of memory, if it is there at all. */
async function evict(carve: Carve): Promise<void> {
  await server.evict('CARVE_SESSION', await objectOf(carve))
}

describe('a session', () => {
  it.each([
    ['gathered', 1 * MIB, 7 * MIB],
    ['streamed', 5 * MIB, 11 * MIB],
  ])('goes on after eviction between any two blocks: %s', async (_w, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes), blockSize)
    const sessionId = await begin(server, carve)
    for (let id = 0; id < announcement(carve).block_count; id += 1) {
      await evict(carve)
      await sendBlocks(server, carve, sessionId, [id])
    }
    await evict(carve)
    const row = await rowWithStatus(server, carve.carveId, 'complete')
    expect(sha256Of(await storedArchive(server, row))).toBe(sha256Of(carve.archive))
    await evict(carve)
    await sendBlocks(server, carve, sessionId, [0])
  })

  it('drops its blocks once the archive is whole', async () => {
    const carve = carveOf(nodeKey, archiveOf(10_000), 4_096)
    await sendBlocks(server, carve, await begin(server, carve))
    await rowWithStatus(server, carve.carveId, 'complete')
    expect(
      await sqlOf(
        carve,
        'SELECT (SELECT COUNT(*) FROM blocks) AS blocks, (SELECT COUNT(*) FROM parts) AS parts',
      ),
    ).toEqual([{ blocks: 0, parts: 0 }])
  })

  it.each([
    ['gathered', 4_096, 10_000],
    ['streamed', 5 * MIB, 11 * MIB],
  ])('that nobody brings blocks to for a day expires: %s', async (_what, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes), blockSize)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0])
    await sqlOf(carve, 'UPDATE session SET last_block_at_ms = 1, sync_due_ms = 1')
    // Any look at it sets its alarm anew.
    await server.env.CARVE_SESSION.getByName((await objectOf(carve)).name).progress()
    expect(await rowWithStatus(server, carve.carveId, 'expired')).toMatchObject({
      message: expect.stringContaining('1 of 3 blocks') as string,
      blocks_received: 1,
      sha256: null,
      object_key: null,
    })
    const reply = await sendBlock(server, carve, sessionId, 1)
    expect([reply.status, reply.text]).toEqual([404, 'retry'])
    expect(
      (await server.env.CARVES.list({ prefix: 'carves/' })).objects.map(({ key }) => key),
    ).not.toContainEqual(expect.stringContaining(await carveTagOf(carve.carveId)))
  })

  it('tells D1 when D1 is back; blocks and archive do not wait for it', async () => {
    await server.env.DB.prepare('ALTER TABLE carves RENAME TO carves_away').run()
    const carve = carveOf(nodeKey, archiveOf(10_000), 4_096)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId)
    const session = server.env.CARVE_SESSION.getByName((await objectOf(carve)).name)
    await server.until(async () => (await session.progress())?.status === 'complete')
    await sendBlocks(server, carve, sessionId, [1])
    await server.env.DB.prepare('ALTER TABLE carves_away RENAME TO carves').run()
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({ blocks_received: 3 })
  })

  it('that was erased refuses what is still coming, and leaves nothing behind', async () => {
    const carve = carveOf(nodeKey, archiveOf(12 * MIB), 5 * MIB)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0])
    const { name } = await objectOf(carve)
    await Promise.all([
      sendBlock(server, carve, sessionId, 1),
      server.env.CARVE_SESSION.getByName(name).erase(),
    ])
    const reply = await sendBlock(server, carve, sessionId, 2)
    expect([reply.status, reply.text]).toEqual([404, 'retry'])
    expect(await server.env.CARVE_SESSION.getByName(name).progress()).toBeNull()
    expect(await sqlOf(carve, "SELECT name FROM sqlite_master WHERE name IN ('session', 'blocks')")).toEqual(
      [],
    )
  })

  it('of two nodes with one carve id are two', async () => {
    const twinKey = await server.enroll('twin')
    const carves = [nodeKey, twinKey].map((key, index) => carveOf(key, archiveOf(5_000, index + 1), 4_096))
    const [mine, theirs] = carves as [Carve, Carve]
    theirs.carveId = mine.carveId
    for (const carve of carves) await sendBlocks(server, carve, await begin(server, carve))
    const rows = await server.until(async () => {
      const { results } = await server.env.DB.prepare(
        "SELECT sha256 FROM carves WHERE carve_id = ? AND status = 'complete'",
      )
        .bind(mine.carveId)
        .all<{ sha256: string }>()
      return results.length === 2 ? results : null
    })
    expect(new Set(rows.map(({ sha256 }) => sha256))).toEqual(
      new Set(carves.map(({ archive }) => sha256Of(archive))),
    )
  })
})

describe('carves that no operator asked for', () => {
  it('have a quota a day; what was asked for is free', async () => {
    const big = 6 * 1_024 ** 3
    const announce = async (key: string) => {
      const carve = { ...carveOf(key, new Uint8Array(0), 16 * MIB), carveId: crypto.randomUUID() }
      const start = { ...announcement(carve), carve_size: big, block_count: big / (16 * MIB) }
      const reply = await server.agent('/api/osquery/carve/begin', start)
      return { isOpen: 'session_id' in reply.json(), start, carve }
    }
    const opened = [await announce(nodeKey), await announce(nodeKey), await announce(nodeKey)]
    expect(opened.map(({ isOpen }) => isOpen)).toEqual([true, true, true])
    const refused = await announce(nodeKey)
    expect(refused.isOpen).toBe(false)
    // What was admitted stays so when its start comes again; what was refused left no session and no row.
    expect((await server.agent('/api/osquery/carve/begin', opened[0]?.start)).json()).toHaveProperty(
      'session_id',
    )
    expect(await carveRow(server, refused.carve.carveId)).toBeNull()
    const askedKey = await server.enroll('asked')
    await openQuery(server, 'SELECT 1', [await ordinalOf(server, 'asked')], { kind: 'carve' })
    expect((await announce(askedKey)).isOpen).toBe(true)
    expect((await announce(nodeKey)).isOpen).toBe(false)
  })
})
