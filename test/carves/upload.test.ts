import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  archiveOf,
  begin,
  carveOf,
  rowWithStatus,
  sendBlock,
  sendBlocks,
  sha256Of,
  storedArchive,
  type Carve,
} from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'

const KIB = 1_024
const MIB = 1_024 * KIB

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('carved')
})
afterAll(() => server.close())

/** Waits until the carve is complete; its archive must be what was sent. */
async function expectWhole(carve: Carve): Promise<void> {
  const row = await rowWithStatus(server, carve.carveId, 'complete')
  expect(row).toMatchObject({
    sha256: sha256Of(carve.archive),
    bytes: carve.archive.length,
    blocks_received: row.block_count,
    message: null,
  })
  expect(sha256Of(await storedArchive(server, row))).toBe(sha256Of(carve.archive))
}

describe('a carve arrives whole', () => {
  it.each([
    ['4 KiB', 4 * KIB, 10_240],
    ['4 KiB, one short block', 4 * KIB, 100],
    ['64 KiB', 64 * KIB, 3_002_880],
    ['256 KiB in two parts', 256 * KIB, 5 * MIB + 1],
    ['1 MiB in three parts', MIB, 11 * MIB + 17],
    ['3 MiB, two blocks a part, more than a row each', 3 * MIB, 10 * MIB],
    ['5 MiB', 5 * MIB, 12 * MIB + 5],
    ['8 MiB', 8 * MIB, 16 * MIB],
    ['8 MiB, one block', 8 * MIB, 7 * MIB],
    ['16 MiB', 16 * MIB, 16 * MIB + 1],
  ])('in blocks of %s', async (_what, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes), blockSize)
    await sendBlocks(server, carve, await begin(server, carve))
    await expectWhole(carve)
  })

  it.each([
    ['gathered blocks', 256 * KIB, 6 * MIB],
    ['blocks that are parts', 5 * MIB, 11 * MIB],
  ])('in any order, each twice: %s', async (_what, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes, 2), blockSize)
    const sessionId = await begin(server, carve)
    const ids = Array.from({ length: Math.ceil(bytes / blockSize) }, (_, id) => id).toReversed()
    for (const id of ids) await sendBlocks(server, carve, sessionId, [id, id])
    await expectWhole(carve)
    await sendBlocks(server, carve, sessionId, [0, ids.length - 1])
    await expectWhole(carve)
  })

  it.each([
    ['gathered blocks', 1 * MIB, 5 * MIB + 1],
    ['blocks that are parts', 6 * MIB, 7 * MIB],
    ['a block that is the whole', 6 * MIB, 6 * MIB],
  ])('when copies of a block arrive at the same time: %s', async (_w, blockSize, bytes) => {
    const carve = carveOf(nodeKey, archiveOf(bytes, 3), blockSize)
    const sessionId = await begin(server, carve)
    for (let id = 0; id < Math.ceil(bytes / blockSize); id += 1) {
      const replies = await Promise.all([1, 2, 3].map(() => sendBlock(server, carve, sessionId, id)))
      expect(replies.map(({ text }) => text)).toEqual(['{}', '{}', '{}'])
    }
    await expectWhole(carve)
  })
})
