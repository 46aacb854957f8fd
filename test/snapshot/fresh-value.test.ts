/** The freshness rule of design section 3, with T = 2 s: what a request gets, and what it costs. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FRESH_FOR_MS, FreshValue, STALE_AFTER_MS } from '../../src/snapshot/fresh-value.ts'

type Load = 'succeeds' | 'fails' | 'hangs'

interface Version {
  number: number
}

/** One isolate: a value, a clock and a source that may be broken. */
class Isolate {
  readonly value = new FreshValue<Version>()
  readonly behind: Promise<unknown>[] = []
  /** What each load was given, in milliseconds. */
  readonly loads: number[] = []
  load: Load = 'succeeds'
  newest = 1

  read(withinMs = 8_000): Promise<Version> {
    return this.value.read(this.#options(withinMs))
  }

  refreshNow(): Promise<Version> {
    return this.value.refreshNow(this.#options(8_000))
  }

  #options(withinMs: number) {
    return {
      load: async (atMostMs: number): Promise<Version> => {
        this.loads.push(atMostMs)
        const { load, newest } = this
        // What hangs is given up by the deadline that the source runs under.
        await new Promise((resolve) => setTimeout(resolve, load === 'hangs' ? atMostMs : 10))
        if (load !== 'succeeds') throw new Error('nothing answers')
        return { number: newest }
      },
      mayReplace: (present: Version, next: Version) => next.number >= present.number,
      waitUntil: (work: Promise<unknown>) => void this.behind.push(work),
      nowMs: Date.now(),
      withinMs,
    }
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Runs the clock until the work is done: what came of it and how long the request waited. */
async function timed<T>(work: Promise<T>): Promise<{ got: T | Error; waitedMs: number }> {
  const startedAt = Date.now()
  let waitedMs = 0
  const got = work
    .catch((error: Error) => error)
    .finally(() => {
      waitedMs = Date.now() - startedAt
    })
  await vi.runAllTimersAsync()
  return { got: await got, waitedMs }
}

/** An isolate that loaded version 1 so long ago, and whose source has version 2 now. */
async function isolateAged(ageMs: number, load: Load): Promise<Isolate> {
  const isolate = new Isolate()
  await timed(isolate.read())
  isolate.loads.length = 0
  Object.assign(isolate, { load, newest: 2 })
  vi.setSystemTime(Date.now() + ageMs)
  return isolate
}

describe('a request finds a value that is', () => {
  it.each<[string, ageMs: number, Load, got: number, waitedMs: number, behind: number, loads: number[]]>([
    ['new', 0, 'succeeds', 1, 0, 0, []],
    ['T old: used as it is', FRESH_FOR_MS, 'succeeds', 1, 0, 0, []],
    ['just over T: used, refreshed behind the reply', FRESH_FOR_MS + 1, 'succeeds', 1, 0, 1, [8_000]],
    ['just over T, and the source is away', FRESH_FOR_MS + 1, 'fails', 1, 0, 1, [8_000]],
    ['just over T, and the source hangs', FRESH_FOR_MS + 1, 'hangs', 1, 0, 1, [8_000]],
    ['2 T old: used, refreshed behind the reply', STALE_AFTER_MS, 'succeeds', 1, 0, 1, [8_000]],
    ['over 2 T: a newer one is waited for', STALE_AFTER_MS + 1, 'succeeds', 2, 10, 0, [1_000]],
    ['over 2 T, and the source is away: still used', STALE_AFTER_MS + 1, 'fails', 1, 10, 0, [1_000]],
    ['over 2 T, and the source hangs: used after 1 s', STALE_AFTER_MS + 1, 'hangs', 1, 1_000, 0, [1_000]],
    ['a day old, and the source is away: still used', 86_400_000, 'fails', 1, 10, 0, [1_000]],
  ])('%s', async (_name, ageMs, load, got, waitedMs, behind, loads) => {
    const isolate = await isolateAged(ageMs, load)
    const read = await timed(isolate.read())
    expect(read).toEqual({ got: { number: got }, waitedMs })
    expect([isolate.behind.length, isolate.loads]).toEqual([behind, loads])
    // What runs behind a reply never fails: nobody would hear it.
    await Promise.all(isolate.behind)
  })

  it.each<[Load, got: unknown, waitedMs: number]>([
    ['succeeds', { number: 1 }, 10],
    ['fails', new Error('nothing answers'), 10],
    ['hangs', new Error('nothing answers'), 8_000],
  ])('not there yet, and the source %s', async (load, got, waitedMs) => {
    const isolate = new Isolate()
    isolate.load = load
    expect(await timed(isolate.read())).toEqual({ got, waitedMs })
  })
})

describe('a refresh', () => {
  it('behind a reply is there for the next request, and counts as new from when it came', async () => {
    const isolate = await isolateAged(FRESH_FOR_MS + 1, 'succeeds')
    await timed(isolate.read())
    expect((await timed(isolate.read())).got).toEqual({ number: 2 })
    vi.setSystemTime(Date.now() + FRESH_FOR_MS)
    await timed(isolate.read())
    expect(isolate.loads).toHaveLength(1)
  })

  it.each([FRESH_FOR_MS + 1, STALE_AFTER_MS + 1])(
    'is begun at most every 500 ms, when the source is away and the value %i ms old',
    async (ageMs) => {
      const isolate = await isolateAged(ageMs, 'fails')
      await timed(isolate.read())
      const beganAt = isolate.value.refreshStartedAtMs
      for (let i = 0; i < 100; i += 1) await timed(isolate.read())
      vi.setSystemTime(beganAt + 499)
      await timed(isolate.read())
      expect(isolate.loads).toHaveLength(1)
      vi.setSystemTime(beganAt + 500)
      await timed(isolate.read())
      expect(isolate.loads).toHaveLength(2)
    },
  )

  it.each<[Load, got: number, waitedMs: number]>([
    ['succeeds', 2, 25],
    ['fails', 1, 25],
    ['hangs', 1, 1_000],
  ])('under way that %s serves the others too, whose value is over 2 T old', async (load, got, waitedMs) => {
    const isolate = await isolateAged(STALE_AFTER_MS + 1, load)
    const first = isolate.read()
    const second = await timed(isolate.read())
    expect(second).toEqual({ got: { number: got }, waitedMs })
    expect(await first).toEqual({ number: got })
    expect(isolate.loads).toHaveLength(1)
  })

  it('that just failed is not waited for again', async () => {
    const isolate = await isolateAged(STALE_AFTER_MS + 1, 'fails')
    await timed(isolate.read())
    expect(await timed(isolate.read())).toEqual({ got: { number: 1 }, waitedMs: 0 })
    expect(isolate.loads).toHaveLength(1)
  })

  it('of requests that have nothing yet is done by each of them', async () => {
    const isolate = new Isolate()
    const both = await timed(Promise.all([isolate.read(), isolate.read()]))
    expect([both.got, isolate.loads]).toEqual([
      [{ number: 1 }, { number: 1 }],
      [8_000, 8_000],
    ])
  })

  it('never takes longer than the request has', async () => {
    const isolate = await isolateAged(STALE_AFTER_MS + 1, 'hangs')
    expect((await timed(isolate.read(300))).waitedMs).toBe(300)
  })

  it('never puts an older value in the place of a newer one', async () => {
    const isolate = await isolateAged(STALE_AFTER_MS + 1, 'succeeds')
    isolate.newest = 0
    expect((await timed(isolate.read())).got).toEqual({ number: 1 })
  })

  it('that overtakes another wins, whichever comes last', async () => {
    const isolate = new Isolate()
    isolate.newest = 5
    const slow = isolate.read()
    isolate.newest = 7
    await timed(isolate.read())
    await slow
    expect((await timed(isolate.read())).got).toEqual({ number: 7 })
  })

  it('is known by when it began: a change is not in what was under way when it was made', async () => {
    const isolate = await isolateAged(FRESH_FOR_MS + 1, 'succeeds')
    const beganAt = Date.now()
    await timed(isolate.read())
    expect(Date.now()).toBeGreaterThan(beganAt)
    expect(isolate.value.loadedSince(beganAt)).toEqual({ number: 2 })
    expect(isolate.value.loadedSince(beganAt + 1)).toBeNull()
    expect(new FreshValue<Version>().loadedSince(0)).toBeNull()
  })

  it('is fetched anew after the clock has gone back: its age cannot be told', async () => {
    const isolate = await isolateAged(-3_600_000, 'succeeds')
    expect(isolate.value.fresh(Date.now())).toBeNull()
    expect(isolate.value.loadedSince(Date.now())).toBeNull()
    expect((await timed(isolate.read())).got).toEqual({ number: 2 })
  })

  it('can be asked for whatever the age, and says so when it fails', async () => {
    const isolate = await isolateAged(0, 'succeeds')
    expect((await timed(isolate.refreshNow())).got).toEqual({ number: 2 })
    isolate.load = 'fails'
    expect((await timed(isolate.refreshNow())).got).toBeInstanceOf(Error)
    expect((await timed(isolate.read())).got).toEqual({ number: 2 })
  })
})
