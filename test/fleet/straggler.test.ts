import { describe, expect, it } from 'vitest'
import { stragglerReason, type NodeFacts, type Standing } from '../../src/fleet/straggler.ts'

const POLICY = { onlineSinceMs: 100_000, maxOffers: 10, sameReadWithinMs: 5_000 }
const ONLINE: NodeFacts = { deleted: false, lastSeenAtMs: 150_000, lastReadAtMs: 150_000 }
const NEW: Standing = { ordinal: 1, offers: 0, lastOfferedAtMs: null, notApplicable: false, answer: null }
const FINE = { status: 0, message: '', truncated: false, denylisted: false }

describe('why a node has not answered', () => {
  it.each<[string, Partial<Standing>, Partial<NodeFacts>, string | null]>([
    ['answered well', { answer: FINE }, {}, null],
    ['answered with an error', { answer: { ...FINE, status: 1, message: 'x' } }, {}, 'failed'],
    ['would not run it', { answer: { ...FINE, status: 1, denylisted: true } }, {}, 'denylisted'],
    ['answered more than is kept', { answer: { ...FINE, truncated: true } }, {}, 'truncated'],
    ['discovery said no', { notApplicable: true }, {}, 'not-applicable'],
    ['is deleted', {}, { deleted: true }, 'deleted'],
    ['is away', {}, { lastSeenAtMs: 90_000, lastReadAtMs: 90_000 }, 'offline'],
    ['is there, and has not polled yet', {}, {}, 'waiting'],
    ['was offered it just now', { offers: 1, lastOfferedAtMs: 149_000 }, {}, 'offered'],
    [
      'was offered it and went away',
      { offers: 1, lastOfferedAtMs: 90_000 },
      { lastSeenAtMs: 90_000, lastReadAtMs: 90_000 },
      'offline',
    ],
    ['was offered it and asked again', { offers: 1, lastOfferedAtMs: 120_000 }, {}, 'crashed'],
    ['was offered it twice', { offers: 2, lastOfferedAtMs: 149_000 }, {}, 'crashed'],
    ['was offered it too often', { offers: 10, lastOfferedAtMs: 90_000 }, {}, 'given-up'],
  ])('%s', (_name, standing, node, reason) => {
    expect(stragglerReason({ ...NEW, ...standing }, { ...ONLINE, ...node }, POLICY)).toBe(reason)
  })
})
