/**
 * A carve's blocks in any order, several times, at once, with replies lost and the session thrown out of memory in
 * between: `{}` means that the block is kept, the archive is whole when the last one came, and never before.
 */

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { carveTagOf } from '../../src/carves/claim.ts'
import {
  announcement,
  archiveOf,
  begin,
  blockBody,
  carveOf,
  rowWithStatus,
  sendBlock,
  sha256Of,
  storedArchive,
  type Carve,
} from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'
import { idsOf } from '../logs/support.ts'
import { checkServer } from './check.ts'

const MIB = 1_024 * 1_024

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('carved')
  // What was asked for is free: the quota of a day is for other tests.
  await openQuery(server, 'SELECT 1', [await ordinalOf(server, 'carved')], { kind: 'carve' })
})
afterAll(() => server.close())

type Step =
  /** These blocks (numbers modulo their count) at once, some of them perhaps twice. */
  | { what: 'send'; blocks: number[] }
  /** The same, but no reply reaches the agent. */
  | { what: 'send-unheard'; blocks: number[] }
  /** The block's request breaks off in the middle. */
  | { what: 'send-cut'; block: number; at: number }
  | { what: 'begin-again' }
  | { what: 'evict' }

/** At most so many steps, each of at most so many blocks. */
function stepsOf(maxSteps: number, maxBlocks: number): fc.Arbitrary<Step[]> {
  const block = fc.nat({ max: 1_000 })
  const blocks = fc.array(block, { minLength: 1, maxLength: maxBlocks })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant('send' as const), blocks }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('send-unheard' as const), blocks }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('send-cut' as const), block, at: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant<Step>({ what: 'begin-again' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ what: 'evict' }) },
  )
  return fc.array(step, { maxLength: maxSteps, size: 'max' })
}

const steps = stepsOf(8, 4)
/** For blocks of some MiB: each costs a tenth of a second. */
const fewSteps = stepsOf(4, 2)

/** An agent that uploads one carve, and what it was told. */
class Uploader {
  readonly carve: Carve
  readonly #sessionId: string
  readonly #sent = new Set<number>()
  readonly #kept = new Set<number>()

  constructor(carve: Carve, sessionId: string) {
    this.carve = carve
    this.#sessionId = sessionId
  }

  get #count(): number {
    return announcement(this.carve).block_count
  }

  async take(step: Step): Promise<void> {
    switch (step.what) {
      case 'send':
      case 'send-unheard': {
        const ids = step.blocks.map((block) => block % this.#count)
        await Promise.all(ids.map((id) => this.#send(id, step.what === 'send')))
        return this.#expectWholeOnlyWithAll()
      }
      case 'send-cut': {
        const body = blockBody(this.carve, this.#sessionId, step.block % this.#count)
        const reply = await server.agent('/api/osquery/carve/block', body.slice(0, step.at % body.length))
        return expect([reply.text, reply.status >= 400]).toEqual(['retry', true])
      }
      case 'begin-again':
        return expect(await begin(server, this.carve)).toBe(this.#sessionId)
      case 'evict':
        return this.#evict()
    }
  }

  /** Sends what no reply was heard for, in the order of these numbers, until everything is kept. */
  async finish(order: readonly number[]): Promise<void> {
    const rest = Array.from({ length: this.#count }, (_, id) => id).filter((id) => !this.#kept.has(id))
    const shuffled = rest.toSorted((a, b) => (order[a % order.length] ?? a) - (order[b % order.length] ?? b))
    for (const id of shuffled) await this.#send(id, true)
  }

  /** The agent has everything acknowledged: the archive must come, and be what was carved. */
  async expectWhole(): Promise<void> {
    const row = await rowWithStatus(server, this.carve.carveId, 'complete')
    expect(row).toMatchObject({ sha256: sha256Of(this.carve.archive), bytes: this.carve.archive.length })
    expect(Buffer.from(await storedArchive(server, row)).equals(this.carve.archive)).toBe(true)
    for (const id of [0, this.#count - 1]) await this.#send(id, true)
  }

  async #send(id: number, isHeard: boolean): Promise<void> {
    this.#sent.add(id)
    const reply = await sendBlock(server, this.carve, this.#sessionId, id)
    // Nothing fails here, so that there is no reason to put an agent off.
    expect([id, reply.status, reply.text]).toEqual([id, 200, '{}'])
    if (isHeard) this.#kept.add(id)
  }

  async #expectWholeOnlyWithAll(): Promise<void> {
    if (this.#sent.size === this.#count) return
    const storage = await server.worker.getDurableObjectStorage('CARVE_SESSION', await this.#object())
    expect(await storage.exec('SELECT status FROM session')).toEqual([{ status: 'receiving' }])
  }

  async #evict(): Promise<void> {
    await server.evict('CARVE_SESSION', await this.#object())
  }

  async #object(): Promise<{ name: string }> {
    const { environmentId, nodeId } = idsOf(nodeKey)
    return { name: `${environmentId}/${nodeId}/${await carveTagOf(this.carve.carveId)}` }
  }
}

async function upload(bytes: number, blockSize: number, taken: readonly Step[], order: readonly number[]) {
  const carve = carveOf(nodeKey, archiveOf(bytes, bytes), blockSize)
  const uploader = new Uploader(carve, await begin(server, carve))
  for (const step of taken) await uploader.take(step)
  await uploader.finish(order)
  await uploader.expectWhole()
}

const order = fc.array(fc.nat(), { minLength: 1, maxLength: 8 })

describe('a carve is put together whatever becomes of its blocks', () => {
  it('in one part', () =>
    checkServer(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 60 }),
        steps,
        order,
        (bytes, blockSize, taken, rest) => upload(bytes, blockSize, taken, rest),
      ),
      10,
    ))

  it('in several parts, gathered from blocks or each a block', () =>
    checkServer(
      fc.asyncProperty(
        fc.constantFrom(2 * MIB, 5 * MIB),
        fc.integer({ min: 1, max: 4 * MIB }),
        fewSteps,
        order,
        (blockSize, more, taken, rest) => upload(5 * MIB + more, blockSize, taken, rest),
      ),
      3,
    ))
})
