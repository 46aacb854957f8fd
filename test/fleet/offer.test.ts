import { describe, expect, it } from 'vitest'
import { decideOffer, type Offer, type OfferDecision } from '../../src/fleet/offer.ts'

const POLICY = { againAfterMs: 30_000, sameWithinMs: 2_000, maxOffers: 3 }
const NOW = 1_788_861_605_000

describe('decideOffer', () => {
  it('offers what was never offered', () => {
    expect(decideOffer(null, POLICY, NOW)).toBe('first')
  })

  it.each<[tries: number, sinceMs: number, decision: OfferDecision]>([
    // One request that came twice gets the same, also the last time.
    [1, 0, 'same'],
    [1, 2_000, 'same'],
    [3, 2_000, 'same'],
    // The agent may still be at work.
    [1, 2_001, 'wait'],
    [1, 29_999, 'wait'],
    [3, 29_999, 'wait'],
    // Agents lose work when they crash.
    [1, 30_000, 'again'],
    [2, 3_600_000, 'again'],
    // It may be this query that crashes them.
    [3, 30_000, 'given-up'],
    [4, 3_600_000, 'given-up'],
    // Clocks of objects may go back.
    [1, -5_000, 'same'],
  ])('after %i offers, the last %i ms ago: %s', (tries, sinceMs, decision) => {
    expect(decideOffer({ tries, lastOfferedAtMs: NOW - sinceMs }, POLICY, NOW)).toBe(decision)
  })

  it('presses a query on a node that never answers maxOffers times in all', () => {
    let offer = null as Offer | null
    for (let nowMs = NOW; nowMs < NOW + 600_000; nowMs += 10_000) {
      const decision = decideOffer(offer, POLICY, nowMs)
      if (decision === 'first' || decision === 'again')
        offer = { tries: (offer?.tries ?? 0) + 1, lastOfferedAtMs: nowMs }
    }
    expect(offer).toEqual({ tries: 3, lastOfferedAtMs: NOW + 60_000 })
  })
})
