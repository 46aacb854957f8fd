/** Reading lines back that an agent sent again much later: once each, where they are newest, however pages are cut. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, makeEnvironment } from '../support/operator.ts'
import {
  idsOf,
  logBody,
  sendLog,
  untilLines,
  writeObjects,
  type LogItem,
  type LogList,
  type Written,
} from './support.ts'

const START_MS = Date.UTC(2026, 5, 1, 12)
const DAY_MS = 24 * 3_600_000
const NODE = '0b000000-0000-4000-8000-000000000001'
/** More than the objects that one call may read to learn what was shown, where their ids are not known. */
const MANY = 70

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let environments = 0
async function newEnvironment(): Promise<string> {
  environments += 1
  return (await makeEnvironment(server, `copies-${environments}`)).id
}

let ids = 0
function line(atMs: number, change: Partial<Written> = {}): Written {
  ids += 1
  const eventId = ids.toString(16).padStart(16, '0').repeat(2)
  return { eventId, nodeId: NODE, type: 'result', name: 'n', atMs: START_MS + atMs, index: 0, ...change }
}

function again(original: Written, atMs: number): Written {
  return { ...original, atMs: START_MS + atMs }
}

function idsOfLines(...lines: readonly Written[]): string[] {
  return lines.map(({ eventId }) => eventId)
}

/** Objects of a line each, a second apart. */
function between(count: number): Written[] {
  return Array.from({ length: count }, (_, n) => line((n + 1) * 1_000))
}

async function readIds(environmentId: string, limit: number, parameters = ''): Promise<string[]> {
  const path = `/environments/${environmentId}/logs${parameters}`
  return (await allPages<LogItem>(server, path, limit)).map(({ eventId }) => eventId)
}

async function page(environmentId: string, parameters: string): Promise<LogList> {
  return (await server.operator('GET', `/environments/${environmentId}/logs?${parameters}`)).json<LogList>()
}

function at(ms: number): string {
  return new Date(START_MS + ms).toISOString()
}

describe('a line with a copy far newer', () => {
  let env: string
  const first = line(0)
  const others = between(MANY)
  const copy = again(first, 3 * DAY_MS)
  beforeAll(async () => {
    env = await newEnvironment()
    await writeObjects(server.env, env, [[first], ...others.map((other) => [other]), [copy]])
  })

  it.each([1, 7, 1_000])('is shown once, in pages of %i', async (limit) => {
    expect(await readIds(env, limit)).toEqual(idsOfLines(copy, ...others.toReversed()))
  })

  it('is shown once also among what filters leave', async () => {
    const expected = idsOfLines(copy, ...others.toReversed())
    expect(await readIds(env, 7, `?node=${NODE}&type=result&name=n`)).toEqual(expected)
  })

  it('is shown where it is oldest when the range ends before the copy', async () => {
    const expected = idsOfLines(...others.toReversed(), first)
    expect(await readIds(env, 7, `?until=${at(3 * DAY_MS)}`)).toEqual(expected)
  })

  it('is shown as the copy when the range begins after the line', async () => {
    const expected = idsOfLines(copy, ...others.slice(-2).toReversed())
    expect(await readIds(env, 1, `?since=${at((MANY - 1) * 1_000)}`)).toEqual(expected)
  })
})

// Through the Worker alone: an object can be evicted only while the test holds no stub of it.
it('is shown once also after the index was evicted', async () => {
  const nodeKey = await server.enroll('resends')
  const { environmentId } = idsOf(nodeKey)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => `{"name":"${name}"}`)
  // Another body the second time: objects are named by the bodies in them.
  for (const [entries, count] of [
    [[a], 1],
    [[b], 2],
    [[a, c], 3],
  ] as const) {
    await sendLog(server, logBody(nodeKey, 'result', entries.map(String)))
    await untilLines(server, nodeKey, count)
  }
  await server.evict('ARCHIVE_INDEX', { name: environmentId })
  const items = await allPages<LogItem>(server, `/environments/${environmentId}/logs`, 1)
  expect(items.map(({ name }) => name)).toEqual(['c', 'a', 'b'])
})

describe('an object that lies across the end of the range', () => {
  it.each([
    ['with its copy in the range', 100_000, true],
    ['with its copy after the range', 200_000, false],
  ])('%s', async (_what, copyAtMs, isCopyShown) => {
    const env = await newEnvironment()
    const [first, a, b, early, late] = [line(0), line(1_000), line(2_000), line(50_000), line(300_000)]
    await writeObjects(server.env, env, [[first], [a], [b], [early, again(first, copyAtMs), late]])
    const rest = idsOfLines(early, b, a)
    const expected = isCopyShown ? [first.eventId, ...rest] : [...rest, first.eventId]
    for (const limit of [1, 2, 1_000]) {
      expect(await readIds(env, limit, `?until=${at(150_000)}`)).toEqual(expected)
    }
  })
})

describe('between two pages', () => {
  it('a copy that arrives far later hides nothing, and is the one in the next reading', async () => {
    const env = await newEnvironment()
    const first = line(0)
    const others = between(3)
    await writeObjects(server.env, env, [[first], ...others.map((other) => [other])])
    const { items, nextCursor } = await page(env, 'limit=2')
    await writeObjects(server.env, env, [[again(first, DAY_MS)]])
    const rest = await page(env, `limit=2&cursor=${nextCursor}`)
    expect([...items, ...rest.items].map(({ eventId }) => eventId)).toEqual(
      idsOfLines(...others.toReversed(), first),
    )
    expect(await readIds(env, 1)).toEqual(idsOfLines(first, ...others.toReversed()))
  })
})

describe('many lines', () => {
  it('that all came again are given without empty pages, and none is lost after them', async () => {
    const env = await newEnvironment()
    const oldest = line(0)
    const sent = Array.from({ length: 30 }, (_, index) => line(1_000, { index }))
    const others = between(3).map((other) => again(other, other.atMs - START_MS + 10_000))
    const resent = sent.map((one) => again(one, DAY_MS))
    await writeObjects(server.env, env, [[oldest], sent, others, resent])
    const expected = idsOfLines(...resent.toReversed(), ...others.toReversed(), oldest)
    for (const limit of [3, 7, 33]) expect(await readIds(env, limit)).toEqual(expected)
    const before = await page(env, 'limit=33')
    const after = await page(env, `limit=10&cursor=${before.nextCursor}`)
    expect(after.items.map(({ eventId }) => eventId)).toEqual([oldest.eventId])
  })

  it('whose ids are alike but for the end of their first half are all shown', async () => {
    const env = await newEnvironment()
    const alike = ['00', '01', '02'].map((end, n) =>
      line(n * 1_000, { eventId: `abcdef01234567${end}${'f'.repeat(16)}` }),
    )
    await writeObjects(
      server.env,
      env,
      alike.map((one) => [one]),
    )
    expect(await readIds(env, 1)).toEqual(idsOfLines(...alike.toReversed()))
  })
})

describe('objects whose ids are not known', () => {
  it('are read to learn what was shown', async () => {
    const env = await newEnvironment()
    const first = line(0)
    const others = between(3)
    await writeObjects(server.env, env, [[first], ...others.map((other) => [other]), [again(first, DAY_MS)]])
    await server.env.ARCHIVE_INDEX.getByName(env).forgetIds(0)
    expect(await readIds(env, 1)).toEqual(idsOfLines(first, ...others.toReversed()))
  })

  it('are the oldest, so that the index keeps a bounded number', async () => {
    const env = await newEnvironment()
    const stub = server.env.ARCHIVE_INDEX.getByName(env)
    const [first, a, b] = [line(0), line(1_000), line(2_000)]
    await writeObjects(server.env, env, [[first], [a], [b]])
    await stub.forgetIds(2)
    const { prefixesOf } = await import('../../src/logs/id-prefixes.ts')
    const found = await stub.findCopies(prefixesOf(idsOfLines(b, first, a)), {
      types: ['result'],
      nodeId: null,
      name: null,
      startsAfterMs: 0,
      untilMs: 1e15,
      maxSequence: null,
    })
    expect(found.copied.toSorted((a, b) => a - b)).toEqual([0, 2])
    expect(found.unsure.map(({ firstMs }) => firstMs)).toEqual([first.atMs])
  })
})
