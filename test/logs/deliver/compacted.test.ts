/** Sinks and what happens to the archive under them: compaction, and erasure of a node's lines. */

import '../../support/workerd-crypto.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { IndexedRow } from '../../../src/logs/archive-object.ts'
import { LineFilter } from '../../../src/logs/deliver/line-filter.ts'
import type { LineSource } from '../../../src/logs/deliver/line-source.ts'
import { livePlace, LiveSource } from '../../../src/logs/deliver/live-source.ts'
import type { Place } from '../../../src/logs/deliver/place.ts'
import { replayPlace, ReplaySource } from '../../../src/logs/deliver/replay-source.ts'
import { DEFAULT_FILTER } from '../../../src/logs/deliver/sink-config.ts'
import { listSinkQuarantine, putSinkQuarantine } from '../../../src/logs/deliver/sink-quarantine.ts'
import type { ArchivedLine } from '../../../src/logs/line.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { compactAll, HOUR_MS, line, newEnvironment, NODES, START_MS } from '../compact/support.ts'
import { writeObjects, type Written } from '../support.ts'

const RANGE = { sinceMs: START_MS, untilMs: START_MS + HOUR_MS }
/** When what compaction replaced is let go of. */
const LATER_MS = Date.now() + 2 * HOUR_MS

let server: TestServer
let environmentId: string
let missed: string[]
let lines: Written[]
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

beforeEach(async () => {
  environmentId = await newEnvironment(server)
  missed = []
  lines = Array.from({ length: 12 }, (_, n) => line(n * 1_000, { nodeId: NODES[n % 2] ?? '' }))
  await writeObjects(server.env, environmentId, [lines.slice(0, 4), lines.slice(4, 8), lines.slice(8)])
})

function context() {
  return {
    env: server.env,
    environmentId,
    filter: new LineFilter(DEFAULT_FILTER),
    missed: ({ key }: Pick<IndexedRow, 'key' | 'lines'>) => void missed.push(key),
  }
}

function live(): LiveSource {
  return new LiveSource(context(), 'a-sink', () => 0)
}

function replay(): ReplaySource {
  return new ReplaySource(context(), RANGE)
}

function archive() {
  return server.env.ARCHIVE_INDEX.getByName(environmentId)
}

/** The event ids from a place on, `most` at most, and where they end. */
async function read(source: LineSource, from: Place, most = 1_000): Promise<{ ids: string[]; place: Place }> {
  const ids: string[] = []
  let place = from
  if (most === 0) return { ids, place }
  for await (const step of source.stepsAfter(from)) {
    place = step.after
    if (step.line !== null) ids.push(step.line.header.eventId)
    if (ids.length >= most) break
  }
  return { ids, place }
}

function idsOf(some: readonly Written[]): string[] {
  return some.map(({ eventId }) => eventId).toSorted()
}

async function eraseNode(nodeId: string): Promise<void> {
  await archive().erase(crypto.randomUUID(), { nodeId, untilMs: Date.now() })
  await compactAll(server.env, environmentId)
}

describe('a replay', () => {
  it('brings each line of a compacted hour once', async () => {
    await compactAll(server.env, environmentId)
    expect((await read(replay(), replayPlace(RANGE))).ids.toSorted()).toEqual(idsOf(lines))
    await compactAll(server.env, environmentId, LATER_MS)
    expect((await read(replay(), replayPlace(RANGE))).ids.toSorted()).toEqual(idsOf(lines))
  })

  it('brings only what was received in its range', async () => {
    const range = { sinceMs: START_MS + 3_000, untilMs: START_MS + 9_000 }
    const { ids } = await read(new ReplaySource(context(), range), replayPlace(range))
    expect(ids.toSorted()).toEqual(idsOf(lines.slice(3, 9)))
  })

  it.each([0, 1, 4, 6, 11])(
    'brings every line when the hour is compacted after %i of them',
    async (count) => {
      for (const nowMs of [Date.now(), LATER_MS]) {
        const first = await read(replay(), replayPlace(RANGE), count)
        await compactAll(server.env, environmentId, nowMs)
        const second = await read(replay(), first.place)
        expect([...new Set([...first.ids, ...second.ids])].toSorted()).toEqual(idsOf(lines))
      }
      expect(missed).toEqual([])
    },
  )
})

describe('a live cursor', () => {
  it('reads what was compacted as it was, until it has passed it', async () => {
    await archive().follow({ kind: 'sink', name: 'a-sink' }, 0)
    await compactAll(server.env, environmentId)
    await compactAll(server.env, environmentId, LATER_MS)
    expect((await read(live(), livePlace(1))).ids).toEqual(lines.map(({ eventId }) => eventId))
    expect(missed).toEqual([])
    await archive().unfollow({ kind: 'sink', name: 'a-sink' })
  })

  it.each([1, 3, 4, 6])('loses no line of others when those of a node are erased after %i', async (count) => {
    const first = await read(live(), livePlace(1), count)
    await eraseNode(NODES[0] ?? '')
    const second = await read(live(), first.place)
    const others = lines.filter(({ nodeId }) => nodeId !== NODES[0])
    expect([...new Set([...first.ids, ...second.ids])].toSorted()).toEqual(
      [...new Set([...first.ids, ...idsOf(others)])].toSorted(),
    )
    expect(missed).toEqual([])
  })

  it('brings nothing that is to be erased, also before that is done', async () => {
    await archive().erase(crypto.randomUUID(), { nodeId: NODES[0] ?? '', untilMs: Date.now() })
    const others = idsOf(lines.filter(({ nodeId }) => nodeId !== NODES[0]))
    expect((await read(live(), livePlace(1))).ids.toSorted()).toEqual(others)
    expect((await read(replay(), replayPlace(RANGE))).ids.toSorted()).toEqual(others)
  })
})

it('the quarantine of a sink loses what is erased, and keeps the rest', async () => {
  const source: ArchivedLine[] = []
  for await (const { line: one } of live().stepsAfter(livePlace(1))) if (one !== null) source.push(one)
  const rejected = source.map(({ header: { eventId } }) => ({ eventId, reason: 'no' }))
  for (const [sinkId, some] of [
    ['mixed', source],
    ['one', source.filter(({ header }) => header.nodeId === NODES[0])],
  ] as const) {
    await putSinkQuarantine(server.env, { environmentId, sinkId, batchId: 'b'.repeat(32) }, some, rejected)
  }
  await eraseNode(NODES[0] ?? '')
  const left = async (sinkId: string) =>
    (await listSinkQuarantine(server.env, { environmentId, sinkId }, null, 10)).items.map(({ lines: n }) => n)
  expect(await left('mixed')).toEqual([6])
  expect(await left('one')).toEqual([])
})
