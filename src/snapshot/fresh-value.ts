/**
 * One value of an isolate's memory with the freshness rule of design 3. Values are shared between requests, promises
 * are not: Workers forbids awaiting another request's I/O.
 */

import { msSince } from '../lib/time.ts'

/** T of design 3: younger than this, the value is used as it is. */
export const FRESH_FOR_MS = 2_000
/** Between T and this the value is used while a new one is fetched behind the reply. */
export const STALE_AFTER_MS = 2 * FRESH_FOR_MS
/** How long a request waits for a newer value before it uses the old one. */
const WAIT_FOR_NEWER_MS = 1_000
/** At most one refresh in this time and isolate. */
const REFRESH_EVERY_MS = 500
/** How often a request looks whether another one's refresh has ended. */
const LOOK_AGAIN_AFTER_MS = 25

export interface FreshOptions<T> {
  /** Fetches the value anew, within the given time. Throws when nothing answers. */
  load(withinMs: number): Promise<T>
  /** Whether the second may replace the first. */
  mayReplace(present: T, next: T): boolean
  waitUntil(work: Promise<unknown>): void
  nowMs: number
  /** How long a request without any value at all may wait. */
  withinMs: number
}

export class FreshValue<T> {
  #value: { content: T; loadedAtMs: number; startedAtMs: number } | null = null
  #refreshStartedAtMs = Number.NEGATIVE_INFINITY
  /** Names the newest refresh while it is under way. */
  #underWay: object | null = null

  /** When a refresh was last begun, ended or not. */
  get refreshStartedAtMs(): number {
    return this.#refreshStartedAtMs
  }

  /** The value, if its refresh was begun at this time or later. */
  loadedSince(timeMs: number): T | null {
    if (this.#value === null) return null
    const { content, startedAtMs } = this.#value
    // What is still to come was noted by a clock that has gone back since.
    return startedAtMs >= timeMs && startedAtMs <= Date.now() ? content : null
  }

  /** The value, where it is fresh: what nearly every request finds, and all that it costs. */
  fresh(nowMs: number): T | null {
    return this.#value !== null && msSince(this.#value.loadedAtMs, nowMs) <= FRESH_FOR_MS
      ? this.#value.content
      : null
  }

  /** The value by the freshness rule. Throws only where there is no value at all and none can be had. */
  async read(options: FreshOptions<T>): Promise<T> {
    const { nowMs } = options
    const present = this.#value
    if (present === null) return this.#refresh(options, options.withinMs)
    const ageMs = msSince(present.loadedAtMs, nowMs)
    if (ageMs <= FRESH_FOR_MS) return present.content
    if (msSince(this.#refreshStartedAtMs, nowMs) < REFRESH_EVERY_MS) {
      return ageMs <= STALE_AFTER_MS ? present.content : this.#afterAnothersRefresh(present.content, options)
    }
    if (ageMs <= STALE_AFTER_MS) {
      options.waitUntil(this.#refresh(options, options.withinMs).catch(keepTheOldOne))
      return present.content
    }
    try {
      return await this.#refresh(options, Math.min(WAIT_FOR_NEWER_MS, options.withinMs))
    } catch (error) {
      keepTheOldOne(error)
      return present.content
    }
  }

  /**
   * The value, not older than the time between two refreshes: for held reads, which look again and again. Whoever finds
   * a refresh due makes it, all others take what is there. Throws only where there is no value at all.
   */
  async readNewest(options: FreshOptions<T>): Promise<T> {
    const present = this.#value
    if (present === null) return this.read(options)
    if (msSince(this.#refreshStartedAtMs, options.nowMs) < REFRESH_EVERY_MS) return present.content
    try {
      return await this.#refresh(options, Math.min(WAIT_FOR_NEWER_MS, options.withinMs))
    } catch (error) {
      keepTheOldOne(error)
      return present.content
    }
  }

  /** Fetches a new value whatever the age of the present one. Throws when that fails. */
  refreshNow(options: FreshOptions<T>): Promise<T> {
    return this.#refresh(options, options.withinMs)
  }

  /**
   * What there is once the refresh under way has ended, or the time to wait for it is over: the old value again, if it
   * brought none. Looks on this request's own timer, because another request's promise must not be awaited.
   */
  async #afterAnothersRefresh(present: T, { withinMs }: FreshOptions<T>): Promise<T> {
    const refresh = this.#underWay
    const endsAtMs = Date.now() + Math.min(WAIT_FOR_NEWER_MS, withinMs)
    while (refresh !== null && this.#underWay === refresh && Date.now() < endsAtMs) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_AFTER_MS))
    }
    return this.#value?.content ?? present
  }

  async #refresh(options: FreshOptions<T>, withinMs: number): Promise<T> {
    this.#refreshStartedAtMs = options.nowMs
    const mark = {}
    this.#underWay = mark
    try {
      return await this.#loadAndKeep(options, withinMs)
    } finally {
      if (this.#underWay === mark) this.#underWay = null
    }
  }

  async #loadAndKeep(options: FreshOptions<T>, withinMs: number): Promise<T> {
    const next = await options.load(withinMs)
    const present = this.#value
    const content = present !== null && !options.mayReplace(present.content, next) ? present.content : next
    this.#value = { content, loadedAtMs: Date.now(), startedAtMs: options.nowMs }
    return content
  }
}

function keepTheOldOne(error: unknown): void {
  console.warn(JSON.stringify({ event: 'snapshot-refresh-failed', error: String(error) }))
}
