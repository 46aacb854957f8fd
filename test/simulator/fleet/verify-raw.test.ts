/** The verifier of raw objects and of files, shown to fail on each thing that may be wrong. */
import { gzipSync } from 'node:zlib'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { CarveRecord } from '../../../src/simulator/carve.ts'
import { CarveLedger } from '../../../src/simulator/fleet/carve-ledger.ts'
import { LineLedger } from '../../../src/simulator/fleet/line-ledger.ts'
import { NodeMap } from '../../../src/simulator/fleet/node-map.ts'
import { verifyCarves } from '../../../src/simulator/fleet/verify-carves.ts'
import { verifyRaw } from '../../../src/simulator/fleet/verify-raw.ts'

async function* listed<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

describe('raw objects', () => {
  // The second is no UTF-8, and the number would not survive JSON.parse.
  const texts = [
    Buffer.from('{"n":12345678901234567890}'),
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ]
  const envelope = (line: Buffer, { nodeId = 'A', type = 'snapshot', id = '0a1b' } = {}) =>
    Buffer.concat([
      Buffer.from(
        `{"format":2,"eventId":"${id}","nodeId":${JSON.stringify(nodeId)},"hostname":"é","type":"${type}","tags":["a"],"line":`,
      ),
      line,
      Buffer.from('}\n'),
    ])

  function sent(): LineLedger {
    const ledger = new LineLedger()
    const lines = texts.map((text) => ({ kind: 'result' as const, text: text as unknown as string }))
    for (const stage of ['sent', 'acknowledged'] as const)
      ledger.note(stage, { kind: 'result', lines, oversized: [] }, 1)
    return ledger
  }
  interface MadeObject {
    readonly lines: readonly Buffer[]
    readonly type?: string
    readonly claims?: number
    readonly isGone?: boolean
  }
  async function verified(objects: readonly MadeObject[], isForeign = false) {
    const bodies = objects.map(({ lines }) => gzipSync(Buffer.concat(lines)))
    const { missing, misindexed, gone, unexplained, wrongNode } = await verifyRaw({
      objects: listed(
        objects.map(({ claims, lines, type = 'snapshot' }, sequence) => ({
          sequence,
          type,
          bytes: bodies[sequence]?.byteLength ?? 0,
          lines: claims ?? lines.length,
        })),
      ),
      read: async (sequence) => (objects[sequence]?.isGone ? undefined : bodies[sequence]),
      ledger: sent(),
      nodes: new NodeMap(),
      isForeign: () => isForeign,
    })
    return { missing, misindexed, gone, unexplained, wrongNode }
  }
  const all = texts.map((text) => envelope(text))
  const good = { missing: 0, misindexed: 0, gone: 0, unexplained: 0, wrongNode: 0 }

  test('that have every line pass', async () => expect(await verified([{ lines: all }])).toEqual(good))
  test('that have a line more than once pass', async () =>
    expect(await verified([{ lines: all }, { lines: all }])).toEqual(good))
  test('without a line', async () =>
    expect(await verified([{ lines: all.slice(1) }])).toEqual({ ...good, missing: 1 }))
  test('with a line that nobody sent', async () => {
    const lines = [...all, envelope(Buffer.from('{}'))]
    expect(await verified([{ lines }])).toEqual({ ...good, unexplained: 1 })
    expect(await verified([{ lines }], true)).toEqual(good)
  })
  test('with a line under two nodes', async () =>
    expect(
      await verified([{ lines: [...all, envelope(texts[0] ?? Buffer.alloc(0), { nodeId: 'B' })] }]),
    ).toEqual({
      ...good,
      wrongNode: 1,
    }))
  test('that are not as the index says', async () =>
    expect(await verified([{ lines: all, claims: 3 }])).toEqual({ ...good, misindexed: 1 }))
  test('that are gone', async () =>
    expect(await verified([{ lines: all }, { lines: all, isGone: true }])).toEqual({ ...good, gone: 1 }))
  test('of live queries and of the audit are left out', async () =>
    expect(
      await verified([
        { lines: all },
        { lines: [envelope(Buffer.from('{}'), { type: 'audit' })], type: 'audit' },
      ]),
    ).toEqual(good))
})

describe('files', () => {
  const archive = Buffer.from('archive')
  const sha256 = createHash('sha256').update(archive).digest('hex')
  const record = (status: CarveRecord['status'], problem = ''): CarveRecord => ({
    guid: 'g',
    requestId: 'r',
    paths: ['/f'],
    timeSeconds: 0,
    status,
    sha256,
    sizeBytes: archive.byteLength,
    problem,
  })
  const shown = { id: 'c', carveId: 'g', queryId: 'q', status: 'complete', sha256 }
  const good = { asked: 1, handedIn: 1, missing: 0, changed: 0, unexplained: 0, refused: 0, silent: 0 }

  function verified(records: readonly CarveRecord[], carves: readonly (typeof shown)[], bytes = archive) {
    const ledger = new CarveLedger()
    ledger.ask({ queryId: 'q', path: '/f', askedAtMs: 0, expected: [1] })
    for (const one of records) ledger.note(one, 1)
    return verifyCarves({ ledger, carves: listed(carves), read: async () => bytes })
  }

  test('that are there pass', async () => expect(await verified([record('SUCCESS')], [shown])).toEqual(good))
  test('that are not complete', async () =>
    expect(await verified([record('SUCCESS')], [{ ...shown, status: 'receiving' }])).toEqual({
      ...good,
      missing: 1,
    }))
  test('of other bytes, or another hash', async () => {
    expect(await verified([record('SUCCESS')], [shown], Buffer.from('other'))).toEqual({
      ...good,
      changed: 1,
    })
    expect(await verified([record('SUCCESS')], [{ ...shown, sha256: 'x' }])).toEqual({ ...good, changed: 1 })
  })
  test('of nobody', async () =>
    expect(await verified([record('SUCCESS')], [shown, { ...shown, carveId: 'h' }])).toEqual({
      ...good,
      unexplained: 1,
    }))
  test('that nobody handed in', async () =>
    expect(await verified([], [])).toEqual({ ...good, handedIn: 0, silent: 1 }))
  test('that the server refused', async () =>
    expect(await verified([record('DATA POST FAILED', 'no session_id in the answer')], [])).toEqual({
      ...good,
      handedIn: 0,
      refused: 1,
    }))
  test('of a node that was deleted after it was asked may be refused, or missing', async () => {
    const ledger = new CarveLedger()
    ledger.ask({ queryId: 'q', path: '/f', askedAtMs: 5, expected: [1] })
    ledger.forgive(1, 10)
    for (const status of ['SUCCESS', 'DATA POST FAILED'] as const) {
      ledger.note(record(status, status === 'SUCCESS' ? '' : 'no session_id in the answer'), 1)
      const found = await verifyCarves({ ledger, carves: listed([]), read: async () => undefined })
      expect(found).toEqual({ ...good, handedIn: 0 })
    }
  })
  test('that were lost on their way are nobody’s fault', async () =>
    expect(
      await verified([record('DATA POST FAILED', 'block 1 of 2: connection broke before the reply')], []),
    ).toEqual({ ...good, handedIn: 0 }))
  test('with a block that an old release left out need not be whole', async () =>
    expect(await verified([record('SUCCESS', 'block 1 of 2: connection broke')], [])).toEqual({
      ...good,
      handedIn: 0,
    }))
})
