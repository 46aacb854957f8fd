/** Compaction: many small objects become one, sorted by node; readers see each line once all the while. */

import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linesOf } from '../../../src/logs/line.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { writeObjects, type Written } from '../support.ts'
import {
  archivedKeys,
  compactAll,
  eventIdsOf,
  HOUR_MS,
  line,
  newEnvironment,
  NODES,
  readPage,
} from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function written(objects: readonly (readonly Written[])[]): Promise<string> {
  const environment = await newEnvironment(server)
  await writeObjects(server.env, environment, objects)
  return environment
}

async function contentOf(key: string): Promise<{ nodeId: string | null; eventId: string }[]> {
  const object = await server.env.ARCHIVE.get(key)
  if (object === null) throw new Error('not there')
  const ndjson = new Uint8Array(gunzipSync(new Uint8Array(await object.arrayBuffer())))
  return [...linesOf(ndjson)].map(({ header: { nodeId, eventId } }) => ({ nodeId, eventId }))
}

function indexOf(environment: string) {
  return server.env.ARCHIVE_INDEX.getByName(environment)
}

describe('an hour that is over', () => {
  it('becomes one object, sorted by node, then by time, that any gunzip reads', async () => {
    const [a, b, c] = NODES
    const lines = [
      line(3_000, { nodeId: b }),
      line(1_000, { nodeId: c }),
      line(2_000, { nodeId: a }),
      line(0, { nodeId: b }),
    ]
    const environment = await written(lines.map((one) => [one]))
    const before = await archivedKeys(server.env, environment)
    expect(await compactAll(server.env, environment)).toBe(1)
    const made = (await archivedKeys(server.env, environment)).filter((key) => !before.includes(key))
    expect(made).toHaveLength(1)
    expect(await contentOf(made[0] ?? '')).toEqual(
      [lines[2], lines[3], lines[0], lines[1]].map((one) => ({ nodeId: one?.nodeId, eventId: one?.eventId })),
    )
  })

  it('is read as before: order, pages, filters', async () => {
    const lines = Array.from({ length: 40 }, (_, n) =>
      line(n * 1_000, { nodeId: NODES[n % 4], name: `q${n % 3}` }),
    )
    const environment = await written([lines.slice(0, 10), lines.slice(10, 25), lines.slice(25)])
    await compactAll(server.env, environment)
    const ids = eventIdsOf(lines.toReversed())
    expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual(ids)
    const first = await readPage(server, environment, 'limit=25')
    const second = await readPage(server, environment, `limit=25&cursor=${first.nextCursor}`)
    expect(eventIdsOf([...first.items, ...second.items])).toEqual(ids)
    const ofNode = await readPage(server, environment, `node=${NODES[1]}&name=q1`)
    expect(eventIdsOf(ofNode.items)).toEqual(
      eventIdsOf(lines.filter(({ nodeId, name }) => nodeId === NODES[1] && name === 'q1').toReversed()),
    )
  })

  it('makes objects of each type and hour apart', async () => {
    const environment = await written([
      [line(0)],
      [line(1, { type: 'status', name: '' })],
      [line(HOUR_MS)],
      [line(HOUR_MS + 1)],
    ])
    expect(await compactAll(server.env, environment)).toBe(3)
    const health = await indexOf(environment).health()
    expect(health.compaction).toMatchObject({ rawObjects: 0, compactedObjects: 3, replacedObjects: 4 })
  })

  it('waits while it is not over or objects still come', async () => {
    const environment = await newEnvironment(server)
    const nowMs = Date.now()
    const thisHour = line(0, { atMs: nowMs })
    const hourBefore = line(0, { atMs: nowMs - HOUR_MS })
    await writeObjects(server.env, environment, [[thisHour], [hourBefore]])
    expect(await compactAll(server.env, environment, nowMs + 60_000)).toBe(0)
    expect(await compactAll(server.env, environment, nowMs + 11 * 60_000)).toBe(1)
  })
})

describe('doubles', () => {
  it('of one event are dropped, rows that are alike but for their id stay', async () => {
    const [a, b] = [line(0), line(0)]
    const environment = await written([[a, b], [{ ...a, atMs: a.atMs + 5_000 }]])
    const before = await archivedKeys(server.env, environment)
    await compactAll(server.env, environment)
    const [made] = (await archivedKeys(server.env, environment)).filter((key) => !before.includes(key))
    expect((await contentOf(made ?? '')).map(({ eventId }) => eventId).toSorted()).toEqual(
      [a.eventId, b.eventId].toSorted(),
    )
  })

  it('of what is compacted already are dropped also when they come hours later', async () => {
    const [a, b] = [line(0), line(3 * HOUR_MS)]
    const environment = await written([[a]])
    await compactAll(server.env, environment)
    await writeObjects(server.env, environment, [[b, { ...a, atMs: b.atMs }]])
    await compactAll(server.env, environment)
    const found = await server.env.ARCHIVE_INDEX.getByName(environment).find({
      types: ['result'],
      sinceMs: 0,
      untilMs: 1e15,
      nodeId: null,
      name: null,
      maxSequence: null,
      after: null,
      limit: 10,
    })
    expect(found.rows.map(({ lines }) => lines)).toEqual([1, 1])
    expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual([b.eventId, a.eventId])
  })
})

describe('a reader that pages across a swap', () => {
  it.each([0, 2 * HOUR_MS])('gets each line once, %i ms later', async (laterMs) => {
    const lines = Array.from({ length: 12 }, (_, n) => line(n * 1_000, { nodeId: NODES[n % 4] }))
    const environment = await written([lines.slice(0, 4), lines.slice(4, 9), lines.slice(9)])
    const items = [...(await readPage(server, environment, 'limit=5')).items]
    let cursor = (await readPage(server, environment, 'limit=5')).nextCursor
    await compactAll(server.env, environment)
    await compactAll(server.env, environment, Date.now() + laterMs)
    while (cursor !== null) {
      const page = await readPage(server, environment, `limit=5&cursor=${cursor}`)
      items.push(...page.items)
      cursor = page.nextCursor
    }
    expect(eventIdsOf(items)).toEqual(eventIdsOf(lines.toReversed()))
  })
})

describe('what was replaced', () => {
  it('is deleted an hour later', async () => {
    const environment = await written([[line(0)], [line(1_000)]])
    await compactAll(server.env, environment)
    expect(await archivedKeys(server.env, environment)).toHaveLength(3)
    expect(await compactAll(server.env, environment, Date.now() + HOUR_MS - 60_000)).toBe(0)
    expect(await compactAll(server.env, environment, Date.now() + HOUR_MS + 60_000)).toBe(1)
    expect(await archivedKeys(server.env, environment)).toHaveLength(1)
  })

  it('stays until every follower has passed it', async () => {
    const environment = await written([[line(0)], [line(1_000)]])
    const follower = { kind: 'sink', name: 'slow' } as const
    await indexOf(environment).follow(follower, 0)
    await compactAll(server.env, environment)
    const later = Date.now() + 3 * HOUR_MS
    expect(await compactAll(server.env, environment, later)).toBe(0)
    const { rows, through } = await indexOf(environment).nextFor(follower, {
      passed: 0,
      after: 0,
      types: null,
      limit: 10,
    })
    expect(rows).toHaveLength(2)
    await indexOf(environment).nextFor(follower, { passed: through, after: through, types: null, limit: 10 })
    expect(await compactAll(server.env, environment, later)).toBe(1)
    expect(await archivedKeys(server.env, environment)).toHaveLength(1)
  })
})

it('begins by the clock, twelve minutes after the hour', async () => {
  const environment = await written([[line(0)], [line(1_000)]])
  const before = await archivedKeys(server.env, environment)
  const scheduledTime = new Date(Date.UTC(2026, 10, 22, 8, 12))
  await server.worker.scheduled({ cron: '* * * * *', scheduledTime })
  // Of that hour: the audit's own lines come to the environment with the same tick, in an hour that is not over.
  const ofThatHour = (key: string) => key.includes('date=2026-06-01/') && !before.includes(key)
  await server.until(async () => (await archivedKeys(server.env, environment)).some(ofThatHour))
})
