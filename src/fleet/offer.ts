/** Whether a node is offered a query again. Pure. */

export interface OfferPolicy {
  againAfterMs: number
  sameWithinMs: number
  maxOffers: number
}

export interface Offer {
  tries: number
  lastOfferedAtMs: number
}

/** `first` and `again` count as a try; `same` repeats the last offer, because its reply may never have arrived. */
export type OfferDecision = 'first' | 'again' | 'same' | 'wait' | 'given-up'

export function decideOffer(offer: Offer | null, policy: OfferPolicy, nowMs: number): OfferDecision {
  if (offer === null) return 'first'
  const sinceMs = nowMs - offer.lastOfferedAtMs
  if (sinceMs <= policy.sameWithinMs) return 'same'
  if (sinceMs < policy.againAfterMs) return 'wait'
  return offer.tries < policy.maxOffers ? 'again' : 'given-up'
}
