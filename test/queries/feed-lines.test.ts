import { describe, expect, it } from 'vitest'
import { emptyCost } from '../../src/fleet/query-cost.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { NO_ANSWERS } from '../../src/queries/answer.ts'
import { progressKey, progressLines, rowLines, rowStart, viewOf } from '../../src/queries/feed-lines.ts'
import type { ShardReport } from '../../src/queries/shard-watches.ts'
import { startPlace } from '../../src/queries/viewer-place.ts'

const QUERY = {
  format: 1 as const,
  environmentId: 'e',
  queryId: 'q',
  number: 1,
  shards: 2,
  targeted: 10,
  status: 'open' as const,
  expiresAtMs: 1_000,
}

const NONE: ReadonlySet<number> = new Set()

function report(answered: number, errors: [string, number][]): ShardReport {
  const failed = errors.reduce((sum, [, nodes]) => sum + nodes, 0)
  return {
    format: 1,
    counts: { ...NO_ANSWERS, offered: answered, answered, failed },
    lastArrival: answered,
    errors: errors.map(([message, nodes]) => ({ message, nodes, nodeId: 'n' })),
    cost: emptyCost(),
  }
}

describe('the view of a query', () => {
  it('is the sum of what its shards reported; a silent shard is told', () => {
    const one = viewOf(QUERY, new Map([[0, report(3, [['x', 2]])]]), NONE, 0)
    expect(one).toMatchObject({ status: 'open', missingShards: [1], counts: { answered: 3, pending: 7 } })
    const both = viewOf(
      QUERY,
      new Map([
        [0, report(3, [['x', 2]])],
        [
          1,
          report(4, [
            ['y', 3],
            ['x', 1],
          ]),
        ],
      ]),
      NONE,
      0,
    )
    expect(both).toMatchObject({ missingShards: [], counts: { answered: 7, failed: 6, pending: 3 } })
    expect(both.errors.map(({ message, nodes }) => [message, nodes])).toEqual([
      ['x', 3],
      ['y', 3],
    ])
    expect(progressKey(both)).not.toBe(progressKey(one))
  })

  it('says which shards are away: what they reported last is shown', () => {
    const reports = new Map([
      [0, report(3, [])],
      [1, report(4, [])],
    ])
    const view = viewOf(QUERY, reports, new Set([1]), 0)
    expect(view).toMatchObject({ missingShards: [1], counts: { answered: 7 } })
    expect(progressKey(view)).not.toBe(progressKey(viewOf(QUERY, reports, NONE, 0)))
    const line = progressLines(view, startPlace(2)).at(-1) ?? ''
    expect(JSON.parse(line)).toMatchObject({ missing: { shards: [1], of: 2 } })
  })

  it('shows the twenty most frequent messages, then the counts', () => {
    const errors = Array.from({ length: 30 }, (_, index): [string, number] => [`m${index}`, index + 1])
    const lines = progressLines(viewOf(QUERY, new Map([[0, report(900, errors)]]), NONE, 0), startPlace(2))
    const parsed = lines.map((line) => JSON.parse(line) as { type: string; message?: string })
    expect(parsed.map(({ type }) => type)).toEqual([...Array<string>(20).fill('error'), 'progress'])
    expect(parsed[0]?.message).toBe('m29')
  })
})

describe('row lines', () => {
  const arrival = {
    arrival: 1,
    ordinal: 4,
    nodeId: 'n',
    receivedAtMs: 0,
    status: 0,
    message: '',
    stats: '{}',
    rowCount: 2,
    truncated: false,
  }

  it('are one line each, whatever whitespace the agent put between tokens', () => {
    const start = rowStart(arrival, 'web-1', 0, utf8('{\n "a" :\r\n "x\\ny"\n}'))
    const [line = ''] = rowLines([start], startPlace(1))
    expect(line).not.toMatch(/[\r\n]/)
    expect(JSON.parse(line)).toMatchObject({ type: 'row', hostname: 'web-1', row: 0, columns: { a: 'x\ny' } })
  })

  it('have the cursor on the last of a batch', () => {
    const starts = [0, 1].map((row) => rowStart(arrival, null, row, utf8('{}')))
    const lines = rowLines(starts, startPlace(1)).map((line) => JSON.parse(line) as { cursor?: string })
    expect(lines.map(({ cursor }) => cursor !== undefined)).toEqual([false, true])
  })
})
