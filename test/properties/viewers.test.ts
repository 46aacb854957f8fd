/** Viewers of a query against any interleaving of answers, credits, lost connections and shards that are away. */

import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { emptyCost } from '../../src/fleet/query-cost.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { NO_ANSWERS } from '../../src/queries/answer.ts'
import { rowLines, rowStart } from '../../src/queries/feed-lines.ts'
import type { FeedRows } from '../../src/queries/feed-rows.ts'
import { FeedSteps, newViewer } from '../../src/queries/feed-steps.ts'
import type { FeedStore } from '../../src/queries/feed-store.ts'
import { readPlace, startPlace, type ViewerPlace } from '../../src/queries/viewer-place.ts'
import { check } from './check.ts'

const SHARDS = 3
const QUERY = {
  format: 1 as const,
  environmentId: 'e',
  queryId: 'q',
  number: 1,
  shards: SHARDS,
  targeted: 1_000,
  status: 'stopped' as const,
  expiresAtMs: 1,
}

/** The shards' answers: how many rows each has, in the order of arrival. What Feed would fetch over RPC. */
class Shards {
  readonly answers: number[][] = Array.from({ length: SHARDS }, () => [])
  isAway = false

  reports(): ReturnType<FeedStore['reports']> {
    return new Map(
      this.answers.map(({ length }, shard) => [
        shard,
        {
          format: 1 as const,
          counts: { ...NO_ANSWERS, answered: length },
          lastArrival: length,
          errors: [],
          cost: emptyCost(),
        },
      ]),
    )
  }

  async next(_query: unknown, place: ViewerPlace, shard: number, maxRows: number) {
    await Promise.resolve()
    if (this.isAway) throw new Error('away')
    const next = { arrivals: [...place.arrivals], rows: [...place.rows] }
    const starts: string[] = []
    for (const rows of (this.answers[shard] ?? []).slice(next.arrivals[shard])) {
      const arrival = (next.arrivals[shard] ?? 0) + 1
      let row = next.rows[shard] ?? 0
      for (; row < rows && starts.length < maxRows; row += 1) {
        const facts = { arrival, ordinal: 0, receivedAtMs: 0, status: 0, message: '', stats: '{}' }
        const record = { ...facts, nodeId: `${shard}/${arrival}`, rowCount: rows, truncated: false }
        starts.push(rowStart(record, null, row, utf8('{}')))
      }
      if (row < rows) {
        next.rows[shard] = row
        break
      }
      next.arrivals[shard] = arrival
      next.rows[shard] = 0
    }
    return { lines: rowLines(starts, next), place: next }
  }

  /** Every row there is. */
  all(): string[] {
    return this.answers
      .flatMap((answers, shard) =>
        answers.flatMap((rows, index) =>
          Array.from({ length: rows }, (_, row) => `${shard}/${index + 1}#${row}`),
        ),
      )
      .sort()
  }
}

function feedOf(store: FeedStore, shards: Shards): FeedSteps {
  const known = { away: new Set<number>(), askedAfterEnd: true, askAfterEnd: () => undefined }
  return new FeedSteps(store, shards as unknown as FeedRows, known, () => undefined)
}

type Step =
  | { kind: 'answer'; shard: number; rows: number }
  | { kind: 'show'; credits: number }
  | { kind: 'reconnect' }
  | { kind: 'away'; isAway: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('answer' as const), shard: fc.nat(SHARDS - 1), rows: fc.nat(5) }),
  fc.record({ kind: fc.constant('show' as const), credits: fc.nat(7) }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
  fc.record({ kind: fc.constant('away' as const), isAway: fc.boolean() }),
)

it('shows each row, whatever happens in between, and each once but for broken connections', () => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  return check(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const shards = new Shards()
      const store = { query: () => QUERY, reports: () => shards.reports() } as unknown as FeedStore
      let feed = feedOf(store, shards)
      let viewer = newViewer(startPlace(SHARDS), 'token')
      let cursor: string | null = null
      /** Seen up to the cursor, and after it: a client that comes back forgets the latter. */
      let seen: string[] = []
      let unsure: string[] = []

      async function show(credits: number): Promise<void> {
        const shown = await feed.next(viewer, credits)
        if (shown === null) return
        expect(shown.rows).toBeLessThanOrEqual(credits)
        // The end is not for this property: more answers may come.
        viewer = { ...shown.viewer, ended: false }
        for (const line of shown.lines) {
          const said = JSON.parse(line) as { type: string; nodeId: string; row: number; cursor?: string }
          if (said.type === 'row') unsure.push(`${said.nodeId}#${said.row}`)
          if (said.cursor === undefined || said.type === 'progress') continue
          cursor = said.cursor
          seen = [...seen, ...unsure]
          unsure = []
        }
      }

      for (const next of steps) {
        if (next.kind === 'answer') shards.answers[next.shard]?.push(next.rows)
        else if (next.kind === 'away') shards.isAway = next.isAway
        else if (next.kind === 'show') await show(next.credits)
        else {
          // A new Feed, too: nothing but the cursor is left.
          feed = feedOf(store, shards)
          const place = cursor === null ? startPlace(SHARDS) : readPlace(cursor, SHARDS)
          if (place === null) throw new Error('our own cursor')
          viewer = newViewer(place, 'token')
          unsure = []
        }
      }
      shards.isAway = false
      feed = feedOf(store, shards)
      for (let round = 0; round < 200; round += 1) await show(7)
      expect([...seen, ...unsure].sort()).toEqual(shards.all())
    }),
    200,
  )
})
