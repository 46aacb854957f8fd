import { describe, expect, it } from 'vitest'
import { holds } from '../report.ts'
import { goalsOf, type LiveResult } from './goals.ts'
import { liveTables } from './tables.ts'

const GOOD: LiveResult = {
  flood: {
    nodes: 100,
    seconds: 1,
    verdict: { rows: 2_000, lost: 0, doubled: 0, foreign: 0 },
    miscounted: 0,
    retries: 0,
    objectCallsPerAnswer: 2.1,
    objectCalls: { 'AnswerShard.write': 1 },
    d1PerAnswer: 0,
    d1InAll: 4,
    residentBytes: { early: 100, most: 120 },
    idleCalls: 0,
    idleAfterS: 1,
    waiting: { nodes: 100, away: 5, othersCalls: 0, forgotten: 0 },
  },
  concurrent: {
    nodes: 100,
    intervalS: 6,
    single: 200,
    fleetWide: 50,
    errors: 0,
    retries: 0,
    pickUpMs: { single: [100], fleetWide: [100] },
    openedMs: [10],
    miscounted: 0,
  },
  watched: {
    nodes: 100,
    tookMs: [500],
    unanswered: 0,
    pollsPerNodeAndMinute: 5.5,
    seconds: 10,
    retries: 0,
  },
  million: {
    rows: 1_000,
    fewRows: 10,
    page: { all: { tookMs: [10], rowsRead: 8 }, few: { tookMs: [10], rowsRead: 8 } },
    groups: {
      tookMs: [10],
      miscounted: 0,
      incomplete: 0,
      answersPerCall: 25,
      writeMs: { quiet: [10], same: [11], other: [10] },
    },
    csv: { lines: 1_001, bytes: 10_000, seconds: 1, residentBytes: { before: 100, most: 110 } },
    retries: 0,
  },
  crash: {
    rows: 2_000,
    differences: { viewer: 0, 'late viewer': 0, export: 0 },
    connections: 2,
    unacknowledged: 3,
    answeredBefore: 50,
  },
}

function ok(result: LiveResult): boolean {
  return holds({ bench: 'live', goals: goalsOf(result), details: null })
}

describe('the goals of live queries', () => {
  it('hold where nothing is lost, nothing costs and everybody sees the same', () => {
    expect(ok(GOOD)).toBe(true)
  })

  it.each([
    ['a lost row', { ...GOOD, flood: { ...GOOD.flood, verdict: { ...GOOD.flood.verdict, lost: 1 } } }],
    ['a third object call an answer', { ...GOOD, flood: { ...GOOD.flood, objectCallsPerAnswer: 3 } }],
    ['a binding call of an idle poll', { ...GOOD, flood: { ...GOOD.flood, idleCalls: 1 } }],
    ['an error among many queries', { ...GOOD, concurrent: { ...GOOD.concurrent, errors: 1 } }],
    ['too many polls', { ...GOOD, watched: { ...GOOD.watched, pollsPerNodeAndMinute: 7 } }],
    [
      'a page that reads the more the more there is',
      {
        ...GOOD,
        million: { ...GOOD.million, page: { ...GOOD.million.page, all: { tookMs: [10], rowsRead: 800 } } },
      },
    ],
    ['a CSV line too few', { ...GOOD, million: { ...GOOD.million, rows: 1_001 } }],
    [
      'a viewer who saw less',
      { ...GOOD, crash: { ...GOOD.crash, differences: { ...GOOD.crash.differences, viewer: 1 } } },
    ],
  ])('%s decides', (_what, result) => {
    expect(ok(result)).toBe(false)
  })

  it('a slow machine decides nothing', () => {
    const slow = { ...GOOD.watched, tookMs: [20_000] }
    expect(ok({ ...GOOD, watched: slow })).toBe(true)
  })
})

describe('the tables', () => {
  it('tell everything', () => {
    const text = liveTables(GOOD)
    expect(text).toContain('2,000 rows')
    expect(text).not.toMatch(/NaN|undefined/)
  })
})
