/** Cursors of lists: what we gave comes back as it was, and nothing that anybody sends us is more than refused. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from '@hono/zod-openapi'
import { base64UrlOf, utf8 } from '../../src/lib/bytes.ts'
import { cursorOf, idKey, numberKey, pageOf, pagingQuery, timeKey } from '../../src/operator/paging.ts'
import { comparePlaces, LogPage, type LinePlace } from '../../src/logs/log-page.ts'
import { check } from './check.ts'

const logKey = z.tuple([z.int(), z.int(), z.string(), z.int()])

const int = fc.maxSafeInteger()
const text = fc.string({ unit: 'binary' }).filter((chars) => chars.isWellFormed())
const KEYS = {
  timeKey: [timeKey, fc.tuple(int, text)],
  numberKey: [numberKey, fc.tuple(int)],
  idKey: [idKey, fc.tuple(text)],
  logKey: [logKey, fc.tuple(int, int, text, int)],
} as const

describe.each(Object.entries(KEYS))('a cursor of %s', (_name, [schema, keys]) => {
  const query = z.object(pagingQuery(schema as z.ZodType<readonly (number | string)[]>))

  it('comes back as the key it was made of, and is safe in a URL', () =>
    check(
      fc.property(keys as fc.Arbitrary<(number | string)[]>, (key) => {
        const cursor = cursorOf(key)
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
        expect(query.parse({ cursor }).cursor).toEqual(key)
      }),
      300,
    ))

  it('that is none of ours is refused, or is a key of the right shape', () =>
    check(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((json) => base64UrlOf(utf8(json))),
        ),
        (cursor) => {
          const read = query.safeParse({ cursor })
          expect(read.success).toBe(read.success && schema.safeParse(read.data.cursor).success)
        },
      ),
      500,
    ))
})

describe('a page of rows', () => {
  it('and those after it are all rows, each once', () =>
    check(
      fc.property(
        fc.uniqueArray(int, { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        (numbers, limit) => {
          const rows = numbers.sort((a, b) => b - a)
          const query = z.object(pagingQuery(numberKey))
          const shown: number[] = []
          let after = Number.POSITIVE_INFINITY
          for (;;) {
            const read = rows.filter((row) => row < after).slice(0, limit + 1)
            const page = pageOf(read, limit, (row) => [row])
            expect(page.rows.length).toBeLessThanOrEqual(limit)
            shown.push(...page.rows)
            if (page.nextCursor === null) break
            after = query.parse({ cursor: page.nextCursor }).cursor?.[0] ?? 0
          }
          expect(shown).toEqual(rows)
        },
      ),
      300,
    ))
})

describe('a page of log lines', () => {
  // Few ids and times, so that lines come again, sooner and later, and many at one time.
  const place = fc.record({
    receivedAtMs: fc.integer({ min: 1_000_000, max: 1_000_006 }),
    index: fc.nat({ max: 3 }),
    eventId: fc.constantFrom(...'abcdefghijkl'.split('')),
  })
  const places = fc.array(place, { maxLength: 40 })

  /** Each id at its newest place, newest first. */
  function once(offered: readonly LinePlace[]): LinePlace[] {
    const newest = new Map<string, LinePlace>()
    for (const one of offered.toSorted(comparePlaces))
      if (!newest.has(one.eventId)) newest.set(one.eventId, one)
    return [...newest.values()]
  }

  function pageAfter(start: LinePlace | null, limit: number, offered: readonly LinePlace[]) {
    const page = new LogPage(limit, start)
    for (const { receivedAtMs, index, eventId } of offered) {
      const header = {
        format: 1,
        eventId,
        environment: 'e',
        nodeId: 'n',
        hostname: null,
        platform: 'linux',
        tags: [],
        receivedAt: new Date(receivedAtMs).toISOString(),
        type: 'result' as const,
        name: '',
        pack: null,
        query: null,
        configurationVersion: null,
        index,
      }
      page.offer({ header, line: utf8('{}') })
    }
    const { lines, next } = page.finish(null)
    return { lines: lines.map(({ place: at }) => at), next }
  }

  it('and those after it are all lines, each id once at its newest place, in whatever order they are offered', () =>
    check(
      fc.property(places, fc.array(fc.nat()), fc.integer({ min: 1, max: 5 }), (offered, order, limit) => {
        const shown: LinePlace[] = []
        let start: LinePlace | null = null
        for (let turn = 0; ; turn += 1) {
          // Another order for every page: objects are read as they come.
          const shuffled = offered.toSorted((a, b) => mixed(a, order, turn) - mixed(b, order, turn))
          const { lines, next }: ReturnType<typeof pageAfter> = pageAfter(start, limit, shuffled)
          expect(lines.length).toBeLessThanOrEqual(limit)
          shown.push(...lines)
          if (next === null) break
          if (start !== null) expect(comparePlaces(start, next)).toBeLessThan(0)
          start = next
        }
        expect(shown).toEqual(once(offered))
      }),
      1_000,
    ))

  function mixed(
    { receivedAtMs, index, eventId }: LinePlace,
    order: readonly number[],
    turn: number,
  ): number {
    const number = receivedAtMs * 31 + index * 7 + eventId.charCodeAt(0)
    return ((number * 2_654_435_761) ^ (order[(number + turn) % Math.max(order.length, 1)] ?? turn)) >>> 0
  }
})
