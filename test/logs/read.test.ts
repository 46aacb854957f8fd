/** Reading the archive back: order, pages, filters, each line once. The archive is written directly. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, makeEnvironment, problemOf } from '../support/operator.ts'
import { writeObjects, type LogItem, type LogList, type Written } from './support.ts'

const START_MS = Date.UTC(2026, 5, 1, 12)
const NODES = [1, 2, 3].map((n) => `0b000000-0000-4000-8000-00000000000${n}`)

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let environments = 0
async function newEnvironment(): Promise<string> {
  environments += 1
  return (await makeEnvironment(server, `reading-${environments}`)).id
}

function write(environmentId: string, objects: readonly (readonly Written[])[]): Promise<void> {
  return writeObjects(server.env, environmentId, objects)
}

let ids = 0
function line(atMs: number, change: Partial<Written> = {}): Written {
  ids += 1
  const eventId = ids.toString(16).padStart(16, '0').repeat(2)
  return {
    eventId,
    nodeId: NODES[0] ?? '',
    type: 'result',
    name: 'n',
    atMs: START_MS + atMs,
    index: 0,
    ...change,
  }
}

async function read(environmentId: string, parameters = ''): Promise<LogList> {
  return (await server.operator('GET', `/environments/${environmentId}/logs?${parameters}`)).json<LogList>()
}

async function readIds(environmentId: string, parameters = ''): Promise<string[]> {
  return (await read(environmentId, parameters)).items.map(({ eventId }) => eventId)
}

function idsOfLines(...lines: readonly Written[]): string[] {
  return lines.map(({ eventId }) => eventId)
}

describe('order', () => {
  it('is newest first over overlapping objects, then last of its POST first', async () => {
    const env = await newEnvironment()
    const [a, b, c, d] = [line(0), line(500), line(1_000), line(2_000)]
    const [first, second] = [line(1_500, { index: 0 }), line(1_500, { index: 1 })]
    await write(env, [[a, d], [b, first, second], [c]])
    expect(await readIds(env)).toEqual(idsOfLines(d, second, first, c, b, a))
  })
})

describe('filters', () => {
  it('node, type, name, since and until, together too', async () => {
    const env = await newEnvironment()
    const result = line(0)
    const snapshot = line(1_000, { type: 'snapshot', name: 's' })
    const status = line(2_000, { type: 'status', name: '' })
    const other = line(3_000, { nodeId: NODES[1] ?? '', name: 's' })
    await write(env, [[result, snapshot, status, other]])
    const at = (ms: number) => new Date(START_MS + ms).toISOString()
    expect(await readIds(env, `node=${NODES[1]}`)).toEqual(idsOfLines(other))
    expect(await readIds(env, `node=${NODES[2]}`)).toEqual([])
    expect(await readIds(env, 'type=result')).toEqual(idsOfLines(other, snapshot, result))
    expect(await readIds(env, 'type=snapshot')).toEqual(idsOfLines(snapshot))
    expect(await readIds(env, 'type=status')).toEqual(idsOfLines(status))
    expect(await readIds(env, 'name=s')).toEqual(idsOfLines(other, snapshot))
    expect(await readIds(env, `name=s&node=${NODES[0]}`)).toEqual(idsOfLines(snapshot))
    // since is in, until is out.
    expect(await readIds(env, `since=${at(1_000)}&until=${at(3_000)}`)).toEqual(idsOfLines(status, snapshot))
    expect(await readIds(env, `since=${at(3_001)}`)).toEqual([])
    const zoned = new Date(START_MS + 7_200_000).toISOString().replace('Z', '%2B02:00')
    expect(await readIds(env, `until=${zoned}`)).toEqual([])
  })

  it('another environment has none of it', async () => {
    const [env, other] = [await newEnvironment(), await newEnvironment()]
    await write(env, [[line(0)]])
    expect(await read(other)).toEqual({
      items: [],
      nextCursor: null,
      searchedThrough: null,
      searched: { objects: 0, bytes: 0 },
    })
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['type=results', 'type'],
    ['node=host-1', 'node'],
    ['since=yesterday', 'since'],
    ['until=2026-13-01T00:00:00Z', 'until'],
    ['cursor=x', 'cursor'],
  ])('%s is a problem that names it', async (parameter, pointer) => {
    const env = await newEnvironment()
    const reply = await server.operator('GET', `/environments/${env}/logs?${parameter}`)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })
})

describe('each line once', () => {
  it('a line that lies in several objects is shown where it is newest', async () => {
    const env = await newEnvironment()
    const [a, b] = [line(0), line(10_000)]
    const again = { ...a, atMs: a.atMs + 60_000 }
    await write(env, [[a], [b], [again]])
    const { items } = await read(env)
    expect(items.map(({ eventId }) => eventId)).toEqual(idsOfLines(again, b))
    expect(items[0]?.receivedAt).toBe(new Date(again.atMs).toISOString())
  })

  it('also when the copies are on different pages', async () => {
    const env = await newEnvironment()
    const a = line(0)
    const between = [1, 2, 3].map((n) => line(n * 1_000))
    await write(env, [[a], between, [{ ...a, atMs: a.atMs + 3_600_000 }]])
    const items = await allPages<LogItem>(server, `/environments/${env}/logs`, 1)
    expect(items.map(({ eventId }) => eventId)).toEqual(idsOfLines(a, ...between.toReversed()))
  })

  it('a resend that comes between two pages hides nothing', async () => {
    const env = await newEnvironment()
    const [a, b] = [line(0), line(1_000)]
    await write(env, [[a, b]])
    const first = await read(env, 'limit=1')
    await write(env, [[{ ...a, atMs: a.atMs + 5_000 }]])
    const second = await read(env, `limit=1&cursor=${first.nextCursor}`)
    expect([...first.items, ...second.items].map(({ eventId }) => eventId)).toEqual(idsOfLines(b, a))
  })
})

describe('pages', () => {
  /** Lines over ten minutes in objects that overlap, some of them twice. Not random: the same in every run. */
  function tangle(): { objects: Written[][]; expected: string[] } {
    const objects: Written[][] = Array.from({ length: 12 }, () => [])
    const newest = new Map<string, Written>()
    let state = 7
    const next = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((state / 2_147_483_648) * below)
    }
    for (let i = 0; i < 600; i += 1) {
      const original = line(next(200) * 3_000, { index: next(4), nodeId: NODES[next(3)] ?? '' })
      const copies = next(4) === 0 ? 2 : 1
      for (let copy = 0; copy < copies; copy += 1) {
        const written = { ...original, atMs: original.atMs + copy * next(100) * 1_000 }
        objects[next(12)]?.push(written)
        const known = newest.get(written.eventId)
        if (known === undefined || known.atMs < written.atMs) newest.set(written.eventId, written)
      }
    }
    const expected = [...newest.values()].sort(
      (a, b) => b.atMs - a.atMs || b.index - a.index || (a.eventId < b.eventId ? 1 : -1),
    )
    return { objects, expected: idsOfLines(...expected) }
  }

  it('of any size give everything once and in order', async () => {
    const env = await newEnvironment()
    const { objects, expected } = tangle()
    await write(env, objects)
    for (const limit of [1_000, 97, 50]) {
      const items = await allPages<LogItem>(server, `/environments/${env}/logs`, limit)
      expect(items.map(({ eventId }) => eventId)).toEqual(expected)
    }
    const ofOneNode = await allPages<LogItem>(server, `/environments/${env}/logs?node=${NODES[1]}`, 40)
    expect(ofOneNode.length).toBeGreaterThan(150)
    expect(ofOneNode.map(({ eventId }) => eventId)).toEqual(
      expected.filter((id) => ofOneNode.some(({ eventId }) => eventId === id)),
    )
  })

  it('end with null where the last line was given', async () => {
    const env = await newEnvironment()
    await write(env, [[line(0), line(1)]])
    expect((await read(env, 'limit=2')).nextCursor).toBeNull()
    expect((await read(env, 'limit=1')).nextCursor).not.toBeNull()
  })

  it('go past objects that retention has deleted', async () => {
    const env = await newEnvironment()
    const [a, b] = [line(0), line(1_000)]
    await write(env, [[a], [b]])
    const { objects } = await server.env.ARCHIVE.list({ prefix: `logs/r90/environment=${env}/` })
    await server.env.ARCHIVE.delete(objects[0]?.key ?? '')
    expect(await readIds(env)).toHaveLength(1)
  })
})

describe('quarantine', () => {
  it('lists newest first, in pages', async () => {
    const env = await newEnvironment()
    const { putQuarantine } = await import('../../src/logs/quarantine.ts')
    for (const n of [1, 2, 3]) {
      await putQuarantine(server.env, {
        environmentId: env,
        nodeId: NODES[0] ?? '',
        reason: 'malformed',
        route: 'log',
        receivedAtMs: START_MS + n,
        bytes: utf8('x'.repeat(n)),
      })
    }
    const items = await allPages<{ bytes: number }>(server, `/environments/${env}/quarantine`, 2)
    expect(items.map(({ bytes }) => bytes)).toEqual([3, 2, 1])
    expect(items[0]).toEqual({
      id: expect.stringMatching(/^\d{13}-[0-9a-f]{32}$/) as string,
      reason: 'malformed',
      route: 'log',
      nodeId: NODES[0],
      bytes: 3,
      receivedAt: new Date(START_MS + 3).toISOString(),
    })
  })
})
