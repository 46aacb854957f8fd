/** A cursor of a sink: what is delivered, what is on its way, what remains. Pure. */

import type { DeliveryOutcome, Json, RejectedLine } from '../sinks/sink-kind.ts'
import type { Cut } from './batch-cutter.ts'
import type { Place } from './place.ts'
import type { TimeRange } from './replay-source.ts'
import type { SinkFilter } from './sink-config.ts'

/** What a cursor goes over. `live` never ends. */
export type TrackSpec =
  | { kind: 'live' }
  | ({ kind: 'replay'; filter: SinkFilter } & TimeRange)
  | { kind: 'quarantine'; keys: readonly string[] }

/** A batch that was cut and not yet delivered. It is cut again at the same places after a failure or a crash. */
export interface Plan {
  start: Place
  end: Place
  /** Times that it was sent. */
  attempt: number
  /** What the kind left of the last attempt, and of how many lines. */
  state: Json
  lines: number
  /** Delivered, while one before it is not. */
  done: boolean
}

export interface Track {
  id: string
  spec: TrackSpec
  /** Everything up to here is delivered. */
  place: Place
  plans: readonly Plan[]
  status: 'active' | 'done' | 'cancelled'
  createdAtMs: number
  finishedAtMs: number | null
  /** Lines. */
  delivered: number
  rejected: number
  bytes: number
}

/** A cursor as others see it. */
export type TrackView = Omit<Track, 'plans'>

export function trackView(track: Track): TrackView {
  const { id, spec, place, status, createdAtMs, finishedAtMs, delivered, rejected, bytes } = track
  return { id, spec, place, status, createdAtMs, finishedAtMs, delivered, rejected, bytes }
}

export const LIVE_TRACK = 'live'

/** A track is one row of a Durable Object, which has 2 MB, and several of its batches may be on their way. */
const MAX_STATE_CHARACTERS = 200_000

export function newTrack(id: string, spec: TrackSpec, place: Place, nowMs: number): Track {
  return {
    id,
    spec,
    place,
    plans: [],
    status: 'active',
    createdAtMs: nowMs,
    finishedAtMs: null,
    delivered: 0,
    rejected: 0,
    bytes: 0,
  }
}

export interface Attempted {
  plan: Plan
  cut: Cut
  outcome: DeliveryOutcome
}

/** What a round of attempts comes to. */
export interface Settled {
  track: Track
  /** By batch, what is to be put aside before the track is kept. */
  rejections: { cut: Cut; rejected: readonly RejectedLine[] }[]
  /** The worst that happened; null: nothing did. */
  failure: { kind: 'retry' | 'refused'; reason: string; retryAfterMs: number | null } | null
  /** When to ask for what was taken but not confirmed. */
  checkAfterMs: number | null
  /** Something went through. */
  accepted: boolean
  /** A batch was too large for the destination, of so many bytes. */
  tooLargeBytes: number | null
}

/**
 * What becomes of a track after its plans were tried. `putAsideAlone` says whether a line that is refused by itself may
 * go: where nothing ever gets through it is the sink that is wrong, not its lines.
 */
export function settle(track: Track, attempts: readonly Attempted[], putAsideAlone: boolean): Settled {
  const settled: Settled = {
    track,
    rejections: [],
    failure: null,
    checkAfterMs: null,
    accepted: false,
    tooLargeBytes: null,
  }
  const byEnd = new Map(attempts.map((attempt) => [JSON.stringify(attempt.plan.end), attempt]))
  const plans = track.plans.flatMap((plan) => {
    const attempt = byEnd.get(JSON.stringify(plan.end))
    return attempt === undefined ? [plan] : settlePlan(settled, attempt, putAsideAlone)
  })
  const delivered = attempts.reduce((sum, { cut, outcome }) => sum + deliveredLines(cut, outcome), 0)
  const rejected = settled.rejections.reduce((sum, { rejected }) => sum + rejected.length, 0)
  const bytes = attempts.reduce(
    (sum, { cut, outcome }) => sum + (outcome.kind === 'delivered' ? cut.bytes : 0),
    0,
  )
  settled.track = moveOn({
    ...track,
    plans,
    delivered: track.delivered + delivered,
    rejected: track.rejected + rejected,
    bytes: track.bytes + bytes,
  })
  return settled
}

function settlePlan(settled: Settled, { plan, cut, outcome }: Attempted, putAsideAlone: boolean): Plan[] {
  switch (outcome.kind) {
    case 'delivered':
      settled.accepted ||= outcome.rejected.length < cut.lines.length
      if (outcome.rejected.length > 0) settled.rejections.push({ cut, rejected: outcome.rejected })
      return [{ ...plan, done: true, state: null }]
    case 'pending':
      settled.checkAfterMs = Math.min(settled.checkAfterMs ?? Number.POSITIVE_INFINITY, outcome.checkAfterMs)
      return [{ ...plan, state: keptState(outcome.state), lines: cut.lines.length }]
    case 'retry':
    case 'refused':
      settled.failure = worse(settled.failure, outcome)
      return [
        {
          ...plan,
          state: outcome.kind === 'retry' ? keptState(outcome.state ?? null) : null,
          lines: cut.lines.length,
        },
      ]
    case 'split':
      return settleSplit(settled, plan, cut, outcome, putAsideAlone)
  }
}

function settleSplit(
  settled: Settled,
  plan: Plan,
  cut: Cut,
  { reason, cause }: Extract<DeliveryOutcome, { kind: 'split' }>,
  putAsideAlone: boolean,
): Plan[] {
  const isSize = cause !== 'content'
  const [first] = cut.lines
  if (cut.lines.length < 2) {
    if (first !== undefined && !isSize && !putAsideAlone) {
      settled.failure = worse(settled.failure, { kind: 'refused', reason })
      return [{ ...plan, state: null }]
    }
    if (first !== undefined) {
      settled.rejections.push({ cut, rejected: [{ eventId: first.line.header.eventId, reason }] })
    }
    return [{ ...plan, done: true, state: null }]
  }
  if (isSize) settled.tooLargeBytes = Math.max(settled.tooLargeBytes ?? 0, cut.bytes)
  const middle = cut.lines[Math.floor(cut.lines.length / 2) - 1]
  if (middle === undefined) return [plan]
  const half = { attempt: 0, state: null, lines: 0, done: false }
  return [
    { ...half, start: plan.start, end: middle.after },
    { ...half, start: middle.after, end: plan.end },
  ]
}

/** What a kind remembers, if it fits beside the rest: without it a batch is sent whole, which every kind bears. */
function keptState(state: Json): Json {
  return JSON.stringify(state).length > MAX_STATE_CHARACTERS ? null : state
}

/** Leaves behind what is delivered at the front. */
function moveOn(track: Track): Track {
  const open = track.plans.findIndex(({ done }) => !done)
  const done = open === -1 ? track.plans : track.plans.slice(0, open)
  const place = done.at(-1)?.end ?? track.place
  return { ...track, place, plans: open === -1 ? [] : track.plans.slice(open) }
}

function deliveredLines(cut: Cut, outcome: DeliveryOutcome): number {
  return outcome.kind === 'delivered' ? cut.lines.length - outcome.rejected.length : 0
}

function worse(
  before: Settled['failure'],
  { kind, reason, ...rest }: { kind: 'retry' | 'refused'; reason: string; retryAfterMs?: number | null },
): Settled['failure'] {
  const waitMs = Math.max(before?.retryAfterMs ?? 0, rest.retryAfterMs ?? 0)
  const retryAfterMs = waitMs === 0 ? (before?.retryAfterMs ?? rest.retryAfterMs ?? null) : waitMs
  if (before?.kind === 'refused') return { ...before, retryAfterMs }
  return { kind, reason, retryAfterMs }
}
