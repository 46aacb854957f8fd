/** Carves on the wire: specification 2.6, 2.7, 6 and vectors K1-K10; cases 84-90 of fleet.md under our reply rules. */

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

const BEGIN = '/api/osquery/carve/begin'
const BLOCK = '/api/osquery/carve/block'
const MIB = 1_024 * 1_024

let server: TestServer
let nodeKey: string
let otherKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('carved')
  otherKey = await server.enroll('another')
})
afterAll(() => server.close())

/** Three blocks of 4,096 bytes, the last one short: vector K2. */
function threeBlocks(): Carve {
  return carveOf(nodeKey, archiveOf(10_240), 4_096)
}

/** What an agent takes for "keep it and come back": anything but an empty body or JSON (spec 1.7). */
function expectRetry(reply: Reply): void {
  expect([reply.text, reply.status >= 400]).toEqual(['retry', true])
}

describe('carve start', () => {
  it('K2: hands out a long session id for the whole announcement', async () => {
    const reply = await server.agent(BEGIN, announcement(threeBlocks()))
    expect(reply.status).toBe(200)
    expect(reply.json()).toEqual({ session_id: expect.stringMatching(/^oec1-[A-Za-z0-9_-]{100,}$/) })
  })

  it('takes the node key from the Authorization header too', async () => {
    const { node_key: _key, ...body } = announcement(threeBlocks())
    const reply = await server.agent(BEGIN, body, { authorization: `NodeKey ${nodeKey}` })
    expect(reply.json()).toHaveProperty('session_id')
  })

  it('gives the same session for the same start, however often and at once', async () => {
    const carve = threeBlocks()
    const ids = await Promise.all([1, 2, 3].map(() => begin(server, carve)))
    expect(new Set(ids).size).toBe(1)
    await sendBlocks(server, carve, ids[0] ?? '')
    await rowWithStatus(server, carve.carveId, 'complete')
    expect(await begin(server, carve)).toBe(ids[0])
    await sendBlocks(server, carve, ids[0] ?? '')
  })

  it('replaces an untouched session by another announcement of the same carve, refuses it later', async () => {
    const carve = threeBlocks()
    const first = await begin(server, carve)
    const bigger = { ...carve, archive: archiveOf(12_000) }
    const second = await begin(server, bigger)
    expectRetry(await sendBlock(server, carve, first, 0))
    await sendBlocks(server, bigger, second, [0])
    const reply = await server.agent(BEGIN, announcement(carve))
    expect([reply.status, reply.text]).toEqual([200, '{"error":"refused"}'])
    await sendBlocks(server, bigger, second)
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({ bytes: 12_000 })
  })

  it.each([
    ['K8, 84: with a foreign node key', { node_key: 'q8Zr0fJ3m1Xy7uTnB5aWc2Lh9eKdVg4s' }],
    ['84: without a node key', { node_key: '' }],
    ['K7, 85: with too few blocks', { block_count: 2 }],
    ['K7, 85: with too many blocks', { block_count: 4 }],
    ['85: of nothing', { carve_size: 0, block_count: 0 }],
    ['85: with blocks of more than 16 MiB', { block_size: 257 * MIB, block_count: 1 }],
    ['85: of more than 8 GiB', { carve_size: 8_192 * MIB + 1, block_size: 8 * MIB, block_count: 1_025 }],
    ['with a size that is no number', { carve_size: 'many' }],
    ['with a size that is no whole number', { carve_size: 10_240.5 }],
    ['without a carve id', { carve_id: '' }],
    ['with a body that is too large', { padding: 'x'.repeat(300 * 1_024) }],
  ])('is refused for good, without a session id: %s', async (_what, change) => {
    const reply = await server.agent(BEGIN, { ...announcement(threeBlocks()), ...change })
    expect(reply.status).toBe(200)
    expect(reply.json()).not.toHaveProperty('session_id')
  })

  it('is tried again when the body is cut off', async () => {
    expectRetry(await server.agent(BEGIN, '{"block_count":3,'))
  })
})

describe('carve blocks', () => {
  it('K3: are stored one after the other, and make the archive', async () => {
    const carve = threeBlocks()
    await sendBlocks(server, carve, await begin(server, carve))
    const row = await rowWithStatus(server, carve.carveId, 'complete')
    expect(row).toMatchObject({
      query_id: null,
      blocks_received: 3,
      block_count: 3,
      sha256: sha256Of(carve.archive),
      file_name: `carved-${carve.carveId}.tar`,
    })
    expect(await storedArchive(server, row)).toEqual(carve.archive)
  })

  it('K4: are taken from agents that write every number as text', async () => {
    const carve = threeBlocks()
    const texts = Object.entries(announcement(carve)).map(([name, value]) => [name, String(value)])
    const reply = await server.agent(BEGIN, Object.fromEntries(texts))
    const { session_id: sessionId } = reply.json<{ session_id: string }>()
    for (const id of [0, 1, 2]) {
      const body = blockBody(carve, sessionId, id).replace(`"block_id":${id}`, `"block_id":"${id}"`)
      // Their JSON writer escapes slashes.
      expect((await server.agent(BLOCK, body.replaceAll('/', String.raw`\/`))).text).toBe('{}')
    }
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({
      sha256: sha256Of(carve.archive),
    })
  })

  it('come without a request id from agents before 2.4.4', async () => {
    const carve = { ...threeBlocks(), requestId: '' }
    const { request_id: _start, ...start } = announcement(carve)
    const { session_id: sessionId } = (await server.agent(BEGIN, start)).json<{ session_id: string }>()
    const body = blockBody(carve, sessionId, 0).replace('"request_id":"",', '')
    expect((await server.agent(BLOCK, body)).text).toBe('{}')
  })

  it('K5, 89: may come again, and again after completion', async () => {
    const carve = threeBlocks()
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0, 0, 1, 0, 2, 1])
    await rowWithStatus(server, carve.carveId, 'complete')
    await sendBlocks(server, carve, sessionId, [0, 1, 2])
  })

  it('K5: the first copy of a block stays', async () => {
    const carve = threeBlocks()
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [0])
    await sendBlocks(server, { ...carve, archive: archiveOf(10_240, 9) }, sessionId, [0])
    await sendBlocks(server, carve, sessionId, [1, 2])
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({
      sha256: sha256Of(carve.archive),
    })
  })

  it('86, 88, 89: tiny blocks, the second one first', async () => {
    const carve = carveOf(nodeKey, archiveOf(8), 3)
    const sessionId = await begin(server, carve)
    await sendBlocks(server, carve, sessionId, [1, 0, 1])
    expectRetry(await sendBlock(server, { ...carve, archive: archiveOf(13), blockSize: 6 }, sessionId, 2))
    await sendBlocks(server, carve, sessionId, [2])
    expectRetry(await sendBlock(server, { ...carve, archive: archiveOf(12) }, sessionId, 3))
    await rowWithStatus(server, carve.carveId, 'complete')
  })

  it('K9: a zstd frame is named as one', async () => {
    const archive = archiveOf(5_000)
    archive.set([0x28, 0xb5, 0x2f, 0xfd])
    const carve = carveOf(nodeKey, archive, 4_096)
    await sendBlocks(server, carve, await begin(server, carve))
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({
      file_name: `carved-${carve.carveId}.tar.zst`,
    })
  })

  it.each([
    ['gathered', 4_096, 10_240],
    ['streamed', 5 * MIB, 11 * MIB],
  ])('may have their data before the rest: %s', async (_what, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes), blockSize)
    const sessionId = await begin(server, carve)
    for (const id of [0, 1, 2]) {
      const { data, ...rest } = JSON.parse(blockBody(carve, sessionId, id)) as Record<string, unknown>
      expect((await server.agent(BLOCK, { data, ...rest })).text).toBe('{}')
    }
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({
      sha256: sha256Of(carve.archive),
    })
  })
})

describe('a block that is not stored is never answered with JSON', () => {
  it('K6, 87, 90: of no session, of a broken one, of none of ours', async () => {
    const carve = threeBlocks()
    const sessionId = await begin(server, carve)
    const unknown = [
      '',
      'b7Yk',
      sessionId.slice(0, -1),
      `${sessionId.slice(0, 20)}${sessionId[20] === 'A' ? 'B' : 'A'}${sessionId.slice(21)}`,
      sessionId.replace('oec1', 'oec2'),
      sessionId.replace('oec', 'oen'),
      nodeKey,
    ]
    for (const id of unknown) expectRetry(await sendBlock(server, carve, id, 0))
    const body = JSON.parse(blockBody(carve, sessionId, 0)) as Record<string, unknown>
    for (const session_id of [undefined, null, 7, [sessionId], { a: sessionId }])
      expectRetry(await server.agent(BLOCK, { ...body, session_id }))
    for (const raw of ['', ' ', '{}', ' { } ', 'null', '7', '"x"', '[]', '{"block_id":0'])
      expectRetry(await server.agent(BLOCK, raw))
    expect((await server.agent(BLOCK, body)).text).toBe('{}')
  })

  it('87: with another request id, before or after the data', async () => {
    const carve = threeBlocks()
    const sessionId = await begin(server, carve)
    const wrong = { ...carve, requestId: crypto.randomUUID() }
    expectRetry(await sendBlock(server, wrong, sessionId, 0))
    const { request_id, ...rest } = JSON.parse(blockBody(wrong, sessionId, 0)) as Record<string, unknown>
    expectRetry(await server.agent(BLOCK, { ...rest, request_id }))
  })

  it('with the valid key of another node in its header; a key that says nothing is no obstacle', async () => {
    const carve = threeBlocks()
    const body = blockBody(carve, await begin(server, carve), 0)
    expectRetry(await server.agent(BLOCK, body, { authorization: `NodeKey ${otherKey}` }))
    for (const key of [nodeKey, 'a-key-of-another-server'])
      expect((await server.agent(BLOCK, body, { authorization: `NodeKey ${key}` })).text).toBe('{}')
  })

  it('under the URL of another environment, or of none', async () => {
    await server.operator('POST', '/environments', { name: 'elsewhere' })
    const carve = threeBlocks()
    const body = blockBody(carve, await begin(server, carve), 0)
    for (const name of ['elsewhere', 'nowhere']) expectRetry(await server.agent(`/${name}/block`, body))
    expect((await server.agent('/default/block', body)).text).toBe('{}')
    expect((await server.agent('/public/osquery/carver/continue', body)).text).toBe('{}')
  })

  it.each([
    ['gathered', 4_096, 10_240],
    ['streamed', 5 * MIB, 6 * MIB],
  ])('K10: with a wrong id, a wrong length or broken data: %s', async (_what, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes), blockSize)
    const sessionId = await begin(server, carve)
    const body = JSON.parse(blockBody(carve, sessionId, 0)) as Record<string, unknown>
    const data = String(body['data'])
    const middle = Math.floor(data.length / 2)
    const broken = [
      data.slice(0, -4),
      data.slice(0, -1),
      `${data}AAAA`,
      `${data.slice(0, middle)}\n${data.slice(middle)}`,
      `!${data.slice(1)}`,
      `${data.slice(0, middle)}=${data.slice(middle + 1)}`,
      `${data.slice(0, -3)}-${data.slice(-2)}`,
      '',
    ]
    for (const text of broken) expectRetry(await server.agent(BLOCK, { ...body, data: text }))
    for (const block_id of [-1, 3, 2 ** 32, 0.5, 'x', null])
      expectRetry(await server.agent(BLOCK, { ...body, block_id }))
    expectRetry(await server.agent(BLOCK, `${JSON.stringify(body).slice(0, -1)},"data":"AAAA"}`))
    expectRetry(await server.agent(BLOCK, JSON.stringify(body).slice(0, -1)))
    await sendBlocks(server, carve, sessionId)
    expect(await rowWithStatus(server, carve.carveId, 'complete')).toMatchObject({
      sha256: sha256Of(carve.archive),
    })
  })

  it('that is larger than any block', async () => {
    const carve = threeBlocks()
    const sessionId = await begin(server, carve)
    const body = blockBody({ ...carve, archive: new Uint8Array(18 * MIB), blockSize: 18 * MIB }, sessionId, 0)
    expectRetry(await server.agent(BLOCK, body))
    expect(await carveRow(server, carve.carveId)).not.toMatchObject({ status: 'complete' })
  })
})
