/**
 * An isolate's side of counting enrolls: what became of them is gathered in memory and goes to the Directory object by
 * one call a minute while they come, and one more after the last. Losing what an isolate had in memory is accepted.
 */

import { msSince } from '../lib/time.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import type { EnrollCount } from '../snapshot/enroll-counts.ts'

/** Between two calls of an isolate while enrolls come. */
const FLUSH_EVERY_MS = 60_000
/** After so long without an enroll the rest is told. Workers ends what waits longer than 30 s behind a reply. */
const QUIET_AFTER_MS = 25_000
/** How many minutes, environments, secrets and outcomes are told apart; more than that are not counted. */
const MAX_COUNTS = 2_000

export interface UsageRequest {
  env: Env
  waitUntil(work: Promise<unknown>): void
}

export interface UsageClock {
  nowMs(): number
  wait(ms: number): Promise<void>
}

const REAL_CLOCK: UsageClock = { nowMs: () => Date.now(), wait: (ms) => scheduler.wait(ms) }

export class EnrollUsage {
  readonly #clock: UsageClock
  #counts = new Map<string, EnrollCount>()
  #lastFlushMs = Number.NEGATIVE_INFINITY
  #newestWaiter = { sinceMs: Number.NEGATIVE_INFINITY }

  constructor(clock: UsageClock = REAL_CLOCK) {
    this.#clock = clock
  }

  /**
   * Counts one enroll. `environmentId` is '' where nothing told which it is for, `secretId` where no secret was known.
   * Never waits, never fails.
   */
  note(request: UsageRequest, environmentId: string, secretId: string, outcome: string): void {
    const nowMs = this.#clock.nowMs()
    const minute = Math.floor(nowMs / 60_000)
    const key = `${minute}/${environmentId}/${secretId}/${outcome}`
    const known = this.#counts.get(key)
    if (known !== undefined) {
      known.count += 1
      known.lastAtMs = nowMs
    } else if (this.#counts.size < MAX_COUNTS) {
      this.#counts.set(key, { minute, environmentId, secretId, outcome, count: 1, lastAtMs: nowMs })
    }
    if (msSince(this.#lastFlushMs, nowMs) >= FLUSH_EVERY_MS)
      request.waitUntil(this.#flush(request.env, nowMs))
    else this.#flushWhenQuiet(request, nowMs)
  }

  /** A timer for many enrolls: the newest one speaks when no newer one was set for all of its time. */
  #flushWhenQuiet(request: UsageRequest, nowMs: number): void {
    if (msSince(this.#newestWaiter.sinceMs, nowMs) < QUIET_AFTER_MS / 5) return
    const waiter = { sinceMs: nowMs }
    this.#newestWaiter = waiter
    request.waitUntil(
      this.#clock.wait(QUIET_AFTER_MS).then(async () => {
        if (this.#newestWaiter === waiter) await this.#flush(request.env, this.#clock.nowMs())
      }),
    )
  }

  async #flush(env: Env, nowMs: number): Promise<void> {
    if (this.#counts.size === 0) return
    this.#lastFlushMs = nowMs
    const counts = [...this.#counts.values()]
    this.#counts = new Map()
    try {
      await env.DIRECTORY.getByName(DIRECTORY_NAME).noteEnrolls(counts)
    } catch (error) {
      console.warn(
        JSON.stringify({ event: 'enroll-counts-lost', counts: counts.length, error: String(error) }),
      )
    }
  }
}
