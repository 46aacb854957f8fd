import { describe, expect, it } from 'vitest'
import { verdict } from '../../src/simulator/fleet/verdicts.ts'
import { allHold, isCaught, judgeEvidence, MEMORY_GROWTH_BYTES, type Evidence } from './invariants.ts'
import { SABOTAGES, type Sabotage } from './worker/fault.ts'

const LEVEL = { heldBytes: 20_000_000, residentBytes: 200_000_000 }
const GOOD: Evidence = {
  replies: 100,
  wrong: { count: 0, examples: [] },
  suffered: { crashed: 0 },
  junk: { sent: 10, mistaken: [] },
  knockedOut: { count: 0, examples: [] },
  ordinals: { nodes: 5, conflicts: [] },
  verdicts: [
    verdict('every acknowledged line is there', 0, '10 due, 0 missing'),
    verdict('every line is there once', 0, '10 read, 0 doubled'),
    verdict('every online agent answers', 3, '3 silent'),
  ],
  examples: [],
  carves: { acknowledged: 1, missing: [] },
  whole: { members: 5, missing: 0, tookMs: 3_000 },
  presence: { nodes: 5, wrong: [], tookMs: 1_000 },
  memory: { before: LEVEL, after: LEVEL },
}

/** What each defect makes of the evidence. */
const SEEN: Record<Sabotage, Partial<Evidence>> = {
  'ack-first': { verdicts: [verdict('every acknowledged line is there', 2, '2 missing')] },
  'drop-line': { verdicts: [verdict('every acknowledged line is there', 2, '2 missing')] },
  'double-line': { verdicts: [verdict('every line is there once', 2, '2 doubled')] },
  'empty-500': { wrong: { count: 1, examples: ['log: empty'] } },
  'node-invalid-on-outage': { knockedOut: { count: 1, examples: ['read'] } },
  'reuse-ordinal': { ordinals: { nodes: 5, conflicts: ['ordinal 0'] } },
}

function holds(change: Partial<Evidence>): boolean {
  return allHold(judgeEvidence({ ...GOOD, ...change }))
}

describe('the invariants', () => {
  it('hold where nothing was seen; who kept silent in an outage is told only', () => {
    expect(holds({})).toBe(true)
  })

  it.each<Partial<Evidence>>([
    ...Object.values(SEEN),
    { suffered: { crashed: 1 } },
    { junk: { sent: 10, mistaken: ['wrong-key: ok'] } },
    { verdicts: [] },
    { carves: { acknowledged: 1, missing: ['SHA-256 0'] } },
    { whole: { members: 5, missing: 1, tookMs: 60_000 } },
    { presence: { nodes: 5, wrong: ['web-1'], tookMs: 30_000 } },
    { memory: { before: LEVEL, after: { ...LEVEL, heldBytes: LEVEL.heldBytes + MEMORY_GROWTH_BYTES + 1 } } },
  ])('do not hold with %j', (change) => {
    expect(holds(change)).toBe(false)
  })

  it('do not judge what a process has resident, in which the stand-ins live too', () => {
    expect(holds({ memory: { before: LEVEL, after: { ...LEVEL, residentBytes: 2e9 } } })).toBe(true)
  })
})

describe('a planted defect', () => {
  it.each(SABOTAGES)('%s is caught by the row that is about it, and by no other', (sabotage) => {
    expect(isCaught(sabotage, judgeEvidence({ ...GOOD, ...SEEN[sabotage] }))).toBe(true)
    expect(isCaught(sabotage, judgeEvidence(GOOD))).toBe(false)
    expect(isCaught(sabotage, judgeEvidence({ ...GOOD, suffered: { crashed: 1 } }))).toBe(false)
  })
})
