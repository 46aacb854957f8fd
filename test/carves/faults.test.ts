/** What a carve costs, and what it does while a store is away (design 2, R2 and R4; design 5). */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  announcement,
  archiveOf,
  begin,
  blockBody,
  carveOf,
  carveRow,
  rowWithStatus,
  sendBlock,
  sendBlocks,
  sha256Of,
  storedArchive,
  type Carve,
} from '../support/carving.ts'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'

const MIB = 1_024 * 1_024

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  nodeKey = await server.enroll('carved')
})
afterAll(() => server.close())

/** Faults of everything that happens from now on, inside objects too. */
function setFaults(faults: Record<string, string>): Promise<Reply> {
  return server.agent('/test/faults', faults)
}

/** Calls of one request, without the head's refresh and presence, which are counted by isolate and time. */
function callsOf(reply: Reply): Record<string, number> {
  const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
  const perIsolate = new Set(['ENVIRONMENT.head', 'ENVIRONMENT.part', 'DIRECTORY.read', 'PRESENCE.flush'])
  return Object.fromEntries(Object.entries(calls).filter(([call]) => !perIsolate.has(call)))
}

async function expectWhole(carve: Carve): Promise<void> {
  const row = await rowWithStatus(server, carve.carveId, 'complete')
  expect(sha256Of(await storedArchive(server, row))).toBe(sha256Of(carve.archive))
  expect(row.sha256).toBe(sha256Of(carve.archive))
}

describe('what a carve costs', () => {
  it('a start: two object calls; a block of any size, new or known: one', async () => {
    for (const [blockSize, call] of [
      [64 * 1_024, 'CARVE_SESSION.storeBlock'],
      [5 * MIB, 'CARVE_SESSION.storePart'],
    ] as const) {
      const carve = carveOf(nodeKey, archiveOf(blockSize + 1), blockSize)
      const started = await server.agent('/api/osquery/carve/begin', announcement(carve))
      expect(callsOf(started)).toEqual({ 'ENVIRONMENT.admitCarve': 1, 'CARVE_SESSION.begin': 1 })
      const { session_id: sessionId } = started.json<{ session_id: string }>()
      for (const id of [0, 0, 1]) {
        expect(callsOf(await sendBlock(server, carve, sessionId, id))).toEqual({ [call]: 1 })
      }
    }
  })

  it('a block of a session that is none of ours: nothing', async () => {
    const carve = carveOf(nodeKey, archiveOf(5_000), 4_096)
    expect(callsOf(await sendBlock(server, carve, 'oec1-AAAA', 0))).toEqual({})
  })

  it('a refused start: nothing', async () => {
    const start = { ...announcement(carveOf(nodeKey, archiveOf(5_000), 4_096)), block_count: 7 }
    expect(callsOf(await server.agent('/api/osquery/carve/begin', start))).toEqual({})
  })
})

describe('while a store is away', () => {
  it.each([
    ['ENVIRONMENT', 'throw'],
    ['CARVE_SESSION', 'throw'],
  ])('a start is tried again: %s', async (binding, mode) => {
    const carve = carveOf(nodeKey, archiveOf(5_000), 4_096)
    const reply = await server.agent('/api/osquery/carve/begin', announcement(carve), {
      'x-test-faults': `${binding}=${mode}`,
    })
    expect([reply.status, reply.text]).toEqual([503, 'retry'])
    await sendBlocks(server, carve, await begin(server, carve))
    await expectWhole(carve)
  })

  it('R2 fails under a streamed block: retry, and the next copy is stored', async () => {
    const carve = carveOf(nodeKey, archiveOf(12 * MIB), 5 * MIB)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0])
    await setFaults({ CARVES: 'throw' })
    const replies = await Promise.all([1, 1, 2].map((id) => sendBlock(server, carve, sessionId, id)))
    expect(replies.map(({ text }) => text)).toEqual(['{}', '{}', '{}'].map(() => 'retry'))
    await setFaults({})
    await sendBlocks(server, carve, sessionId)
    await expectWhole(carve)
  })

  it('R2 fails under gathered parts and the end: blocks are taken, the archive follows', async () => {
    const carve = carveOf(nodeKey, archiveOf(11 * MIB), 1 * MIB)
    const sessionId = await begin(server, carve)
    await setFaults({ CARVES: 'throw' })
    await sendBlocks(server, carve, sessionId)
    await server.until(async () => (await carveRow(server, carve.carveId))?.status === 'receiving')
    await setFaults({})
    await expectWhole(carve)
  })

  it('R2 hangs: an answer comes in time, and nothing stays stuck', async () => {
    const carve = carveOf(nodeKey, archiveOf(6 * MIB), 6 * MIB)
    const sessionId = await begin(server, carve)
    const startedAtMs = Date.now()
    await setFaults({ CARVES: 'hang' })
    const reply = await sendBlock(server, carve, sessionId, 0)
    await setFaults({})
    expect([reply.status, reply.text]).toEqual([503, 'retry'])
    // Then the agent gives up.
    expect(Date.now() - startedAtMs).toBeLessThan(16_000)
    await server.until(async () => (await sendBlock(server, carve, sessionId, 0)).text === '{}')
    await expectWhole(carve)
  })

  it('D1 is away all the time: blocks and archive do not wait for it', async () => {
    await setFaults({ DB: 'throw' })
    const carve = carveOf(nodeKey, archiveOf(10_000), 4_096)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await setFaults({})
    await expectWhole(carve)
  })

  it('the session is away: a block is retry, with nothing stored twice afterwards', async () => {
    const carve = carveOf(nodeKey, archiveOf(10_000), 4_096)
    const sessionId = await begin(server, carve)
    const reply = await server.agent('/api/osquery/carve/block', blockBody(carve, sessionId, 0), {
      'x-test-faults': 'CARVE_SESSION=throw',
    })
    expect([reply.status, reply.text]).toEqual([503, 'retry'])
    await sendBlocks(server, carve, sessionId)
    await expectWhole(carve)
  })
})
