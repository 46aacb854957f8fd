/** What becomes of a cursor after a round, and how long a sink waits: decisions alone, no I/O. */

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { backOffMs } from '../../../src/logs/deliver/backoff.ts'
import type { Cut } from '../../../src/logs/deliver/batch-cutter.ts'
import { healthAfter, mayPutAside, NEW_HEALTH, nextAllowedAtMs } from '../../../src/logs/deliver/health.ts'
import { DEFAULT_DELIVERY } from '../../../src/logs/deliver/sink-config.ts'
import { newTrack, settle, type Attempted, type Plan, type Track } from '../../../src/logs/deliver/track.ts'
import type { ArchivedLine } from '../../../src/logs/line.ts'
import type { DeliveryOutcome } from '../../../src/logs/sinks/sink-kind.ts'

function line(eventId: string): ArchivedLine {
  return { header: { eventId } as ArchivedLine['header'], line: utf8('{}') }
}

/** A batch of `count` lines of object 1, after its first `from`. */
function attempt(from: number, count: number, outcome: DeliveryOutcome): Attempted {
  const lines = Array.from({ length: count }, (_, at) => ({
    line: line(`e${from + at}`),
    after: [1, from + at + 1],
  }))
  const cut: Cut = { start: [1, from], end: [1, from + count], lines, bytes: count * 2 }
  const plan: Plan = { start: cut.start, end: cut.end, attempt: 1, state: null, lines: count, done: false }
  return { plan, cut, outcome }
}

function trackOf(...attempts: Attempted[]): Track {
  return { ...newTrack('live', { kind: 'live' }, [1, 0], 0), plans: attempts.map(({ plan }) => plan) }
}

function settled(attempts: Attempted[], putAsideAlone = true) {
  return settle(trackOf(...attempts), attempts, putAsideAlone)
}

const delivered: DeliveryOutcome = { kind: 'delivered', rejected: [] }
const retry: DeliveryOutcome = { kind: 'retry', reason: 'answered 503', retryAfterMs: null, state: { at: 3 } }

describe('a cursor', () => {
  it('moves past what was delivered', () => {
    const { track, accepted } = settled([attempt(0, 3, delivered), attempt(3, 2, delivered)])
    expect(track).toMatchObject({ place: [1, 5], plans: [], delivered: 5, bytes: 10 })
    expect(accepted).toBe(true)
  })

  it('stays before what was not, and remembers what behind it was delivered', () => {
    const { track, failure } = settled([attempt(0, 3, retry), attempt(3, 2, delivered)])
    expect(track.place).toEqual([1, 0])
    expect(track.plans.map(({ done, state }) => ({ done, state }))).toEqual([
      { done: false, state: { at: 3 } },
      { done: true, state: null },
    ])
    expect(failure).toEqual({ kind: 'retry', reason: 'answered 503', retryAfterMs: null })
    const again = settle(track, [attempt(0, 3, delivered)], true)
    expect(again.track).toMatchObject({ place: [1, 5], plans: [] })
  })

  it('waits for what is taken and not confirmed, without a failure', () => {
    const pending: DeliveryOutcome = { kind: 'pending', reason: 'no ack', checkAfterMs: 500, state: [7] }
    const { track, failure, checkAfterMs } = settled([attempt(0, 3, pending)])
    expect(track.plans).toMatchObject([{ state: [7], done: false }])
    expect({ failure, checkAfterMs }).toEqual({ failure: null, checkAfterMs: 500 })
  })

  it('forgets what a kind remembers where that is too much: the batch is sent whole', () => {
    const state = ['x'.repeat(300_000)]
    const { track } = settled([attempt(0, 3, { kind: 'retry', reason: 'busy', retryAfterMs: null, state })])
    expect(track.plans).toMatchObject([{ state: null, done: false }])
  })

  it('goes on in halves where a batch is too much', () => {
    const { track, tooLargeBytes } = settled([attempt(0, 5, { kind: 'split', reason: 'answered 413' })])
    expect(track.plans).toMatchObject([
      { start: [1, 0], end: [1, 2] },
      { start: [1, 2], end: [1, 5] },
    ])
    expect(tooLargeBytes).toBe(10)
  })

  it('does not learn a size from lines that are bad', () => {
    expect(settled([attempt(0, 5, { kind: 'split', reason: '', cause: 'content' })]).tooLargeBytes).toBe(null)
  })

  it('puts aside a line that is too much by itself, and one that is bad by itself', () => {
    for (const cause of ['size', 'content'] as const) {
      const { track, rejections } = settled([attempt(0, 1, { kind: 'split', reason: 'no', cause })])
      expect(rejections).toMatchObject([{ rejected: [{ eventId: 'e0', reason: 'no' }] }])
      expect(track).toMatchObject({ place: [1, 1], rejected: 1 })
    }
  })

  it('keeps a bad line where nothing is ever taken', () => {
    const { track, failure } = settled(
      [attempt(0, 1, { kind: 'split', reason: 'no', cause: 'content' })],
      false,
    )
    expect(track.place).toEqual([1, 0])
    expect(failure?.kind).toBe('refused')
  })
})

describe('health', () => {
  const failed = settled([attempt(0, 3, retry)])

  it('waits longer with each failure in a row, by full jitter', () => {
    const bounds = [1, 2, 3, 4, 20].map((failures) =>
      backOffMs({ kind: 'retry', retryAfterMs: null }, failures, 0.999_999),
    )
    expect(bounds.map((ms) => Math.round(ms / 1_000))).toEqual([1, 2, 4, 8, 300])
    expect(backOffMs({ kind: 'retry', retryAfterMs: null }, 9, 0)).toBe(250)
  })

  it('keeps to what the destination asked for', () => {
    expect(backOffMs({ kind: 'retry', retryAfterMs: 60_000 }, 1, 0)).toBe(60_000)
    expect(backOffMs({ kind: 'retry', retryAfterMs: 60_000 }, 9, 0.5)).toBe(63_000)
  })

  it('does not count what the destination set a time for: a timeout after it is tried again soon', () => {
    const busy: DeliveryOutcome = { kind: 'retry', reason: 'answered 429', retryAfterMs: 30_000 }
    let health = NEW_HEALTH
    for (let i = 0; i < 10; i += 1) {
      health = healthAfter(health, settled([attempt(0, 3, busy)]), 1_000, 0)
      expect(health).toMatchObject({ failures: 0, isToldToWait: true, nextAttemptAtMs: 31_000 })
    }
    const timedOut = healthAfter(health, failed, 40_000, 0.999_999)
    expect(timedOut).toMatchObject({ failures: 1, isToldToWait: false })
    expect(timedOut.nextAttemptAtMs).toBeLessThanOrEqual(41_000)
    expect(healthAfter(health, settled([attempt(0, 3, delivered)]), 5_000, 0).isToldToWait).toBe(false)
  })

  it('forgets failures with a success, and remembers the last', () => {
    const ill = healthAfter(healthAfter(NEW_HEALTH, failed, 1_000, 0.5), failed, 2_000, 0.5)
    expect(ill).toMatchObject({ failures: 2, lastError: { atMs: 2_000, reason: 'answered 503' } })
    const well = healthAfter(ill, settled([attempt(0, 3, delivered)]), 5_000, 0.5)
    expect(well).toMatchObject({ failures: 0, nextAttemptAtMs: 0, lastSuccessAtMs: 5_000 })
    expect(well.lastError?.reason).toBe('answered 503')
  })

  it('puts no more than ten lines aside in a row', () => {
    let health = NEW_HEALTH
    const alone = settled([attempt(0, 1, { kind: 'split', reason: 'no', cause: 'content' })])
    for (let i = 0; i < 10; i += 1) {
      expect(mayPutAside(health)).toBe(true)
      health = healthAfter(health, alone, 0, 0)
    }
    expect(mayPutAside(health)).toBe(false)
    expect(mayPutAside(healthAfter(health, settled([attempt(0, 3, delivered)]), 0, 0))).toBe(true)
  })

  it('spreads what is sent over the time that the rate gives', () => {
    const options = { ...DEFAULT_DELIVERY, linesPerSecond: 100, bytesPerSecond: 1_000 }
    expect(nextAllowedAtMs(NEW_HEALTH, options, { lines: 50, bytes: 100 }, 10_000)).toBe(10_500)
    expect(nextAllowedAtMs(NEW_HEALTH, options, { lines: 50, bytes: 2_000 }, 10_000)).toBe(12_000)
    expect(nextAllowedAtMs(NEW_HEALTH, DEFAULT_DELIVERY, { lines: 50, bytes: 2_000 }, 10_000)).toBe(10_000)
  })
})
