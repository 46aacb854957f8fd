/** What an isolate says to Presence objects, and how often. The object is a recorder here: only calls count. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PresenceBuffer, type NodePlace } from '../../src/presence/buffer.ts'
import type { RideAlong, Sighting } from '../../src/presence/kinds.ts'

const T0 = Date.parse('2026-11-22T00:00:00Z')
const ENVIRONMENT = 'e0000000-0000-4000-8000-000000000000'

interface Flush {
  sightings: number
  rides: RideAlong[]
}

let flushes: Flush[]
let isAway: boolean
let looks: number
let buffer: PresenceBuffer

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: T0 })
  // Waiting flushes never come here: each test moves the clock, and the next request flushes.
  vi.stubGlobal('scheduler', { wait: () => new Promise(() => undefined) })
  flushes = []
  isAway = false
  looks = 0
  buffer = new PresenceBuffer()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const env = {
  PRESENCE: {
    getByName: () => ({
      async flush(sightings: Sighting[], _counters: object, rides: RideAlong[]) {
        if (isAway) throw new Error('injected: away')
        flushes.push({ sightings: sightings.length, rides })
      },
    }),
  },
} as unknown as Env

/** A request at so many seconds; what it set going is over when this returns. */
async function poll(
  atS: number,
  headers: Record<string, string>,
  { ordinal = 1, issuedAtS = 1_000 }: Partial<NodePlace> = {},
): Promise<void> {
  vi.setSystemTime(T0 + atS * 1_000)
  const work: Promise<unknown>[] = []
  const held = new Headers(headers)
  const get = (name: string) => {
    looks += 1
    return held.get(name)
  }
  const request = {
    env,
    request: { headers: { get } },
    waitUntil: (one: Promise<unknown>) => void work.push(one),
  }
  buffer.note(request, { environmentId: ENVIRONMENT, ordinal, issuedAtS }, 'read')
  await Promise.race([Promise.allSettled(work), Promise.resolve().then(() => undefined)])
  await Promise.resolve()
}

const HOME = { 'user-agent': 'osquery/5.23.1', 'cf-connecting-ip': '203.0.113.9' }
const AWAY = { ...HOME, 'cf-connecting-ip': '198.51.100.7' }

const said = () =>
  flushes.map(({ rides }) => rides.map(({ osqueryVersion, ip }) => `${osqueryVersion} ${ip}`))

describe('what rides along', () => {
  it('goes with the first flush, and is not said again while it stays so', async () => {
    for (let minute = 0; minute < 9; minute += 1) await poll(60 * minute, HOME)
    expect(flushes).toHaveLength(9)
    expect(said()).toEqual([['5.23.1 203.0.113.9'], [], [], [], [], [], [], [], []])
  })

  it('is said again after ten minutes: whatever got lost is known then', async () => {
    await poll(0, HOME)
    await poll(599, HOME)
    await poll(660, HOME)
    expect(said()).toEqual([['5.23.1 203.0.113.9'], [], ['5.23.1 203.0.113.9']])
  })

  it('is said at once when it is another', async () => {
    await poll(0, HOME)
    await poll(60, AWAY)
    await poll(120, { ...AWAY, 'user-agent': 'osquery/5.24.0' })
    expect(said()).toEqual([['5.23.1 203.0.113.9'], ['5.23.1 198.51.100.7'], ['5.24.0 198.51.100.7']])
  })

  it('tells each key that a node comes with, in their order', async () => {
    await poll(0, HOME)
    for (const [atS, issuedAtS] of [
      [3, 2_000],
      [6, 1_000],
      [20, 1_000],
    ] as const)
      await poll(atS, HOME, { issuedAtS })
    expect(flushes.flatMap(({ rides }) => rides.map(({ keyIssuedAtS }) => keyIssuedAtS))).toEqual([
      1_000, 2_000, 1_000,
    ])
  })

  it('is said again where a flush was lost', async () => {
    isAway = true
    await poll(0, HOME)
    isAway = false
    await poll(60, HOME)
    expect(said()).toEqual([['5.23.1 203.0.113.9']])
  })

  it('is nothing where headers are no osquery’s, or absurd', async () => {
    await poll(0, { 'user-agent': `osquery/5.1.${'1'.repeat(200)}`, 'cf-connecting-ip': 'x'.repeat(300) })
    expect(said()).toEqual([[' ']])
  })

  it('costs a node that polls every 5 s two looks at headers in half a minute', async () => {
    for (let atS = 0; atS < 60; atS += 5) await poll(atS, HOME)
    expect(looks).toBe(4)
  })
})

describe('memory', () => {
  it('is bounded: after 20,000 agents all are new again, in whatever ranges of ordinals they are', async () => {
    for (let at = 0; at < 20_000; at += 1) await poll(0, HOME, { ordinal: at * 100 })
    await poll(16, HOME, { ordinal: 0 })
    await poll(17, HOME, { ordinal: 3 })
    await poll(33, HOME, { ordinal: 0 })
    expect(flushes.flatMap(({ rides }) => rides).filter(({ ordinal }) => ordinal === 0)).toHaveLength(2)
  })
})

describe('calls', () => {
  it('are one in 15 s, whatever the number of nodes', async () => {
    for (let atS = 0; atS < 60; atS += 1) {
      for (let ordinal = 0; ordinal < 50; ordinal += 1) await poll(atS, HOME, { ordinal })
    }
    expect(flushes).toHaveLength(4)
  })
})
