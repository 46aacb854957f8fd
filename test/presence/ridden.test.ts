import { describe, expect, it } from 'vitest'
import { addressOfKey } from '../../src/lib/ip-address.ts'
import type { RideAlong } from '../../src/presence/kinds.ts'
import {
  dueAtS,
  LEFT_AFTER_S,
  takeRide,
  TELL_EVERY_S,
  tidingsOf,
  withTold,
  type Ridden,
} from '../../src/presence/ridden.ts'
import { osqueryVersionOf } from '../../src/presence/user-agent.ts'

const T0 = 1_790_000_000
const HOME = '203.0.113.9'
const OFFICE = '198.51.100.7'

function ride(atS: number, ip = HOME, osqueryVersion = '5.23.1'): RideAlong {
  return { ordinal: 1, atS, ip, osqueryVersion, keyIssuedAtS: 0 }
}

/** Takes one after the other, each at its own time. */
function after(...rides: RideAlong[]): Ridden {
  let ridden: Ridden | null = null
  for (const one of rides) ridden = takeRide(ridden, one, one.atS).ridden
  if (ridden === null) throw new Error('there are rides')
  return ridden
}

function told(ridden: Ridden, nowS: number): Ridden {
  return withTold(ridden, tidingsOf(ridden, nowS).after)
}

function tidings(ridden: Ridden, nowS: number) {
  const { osqueryVersion, addresses, left } = tidingsOf(ridden, nowS).tidings
  return {
    osqueryVersion,
    at: addresses?.map(({ key }) => addressOfKey(key)) ?? null,
    left: left.map(({ key, untilS }) => [addressOfKey(key), untilS]),
  }
}

describe('the version of a User-Agent', () => {
  it.each([
    ['osquery/5.23.1', '5.23.1'],
    ['osquery/5.23.0-38-ga5b14f63d', '5.23.0-38-ga5b14f63d'],
    ['osquery/2.11.2', '2.11.2'],
    ['osquery/', ''],
    ['curl/8.5.0', ''],
    ['Mozilla/5.0 osquery/5.1.0', ''],
    ['osquery/5.1<script>', ''],
    ['', ''],
  ])('of %j is %j', (userAgent, version) => expect(osqueryVersionOf(userAgent)).toBe(version))
})

describe('what rode along', () => {
  it('is news at first, and due at once', () => {
    const { ridden, news } = takeRide(null, ride(T0), T0)
    expect(news).toBe(true)
    expect(dueAtS(ridden)).toBe(0)
    expect(tidings(ridden, T0)).toEqual({ osqueryVersion: '5.23.1', at: [HOME], left: [] })
  })

  it('is no news where nobody says anything: no Cloudflare before the Worker, no osquery', () => {
    expect(takeRide(null, ride(T0, '', ''), T0).news).toBe(false)
  })

  it('is no news when it is said again', () => {
    const before = told(after(ride(T0)), T0)
    const { ridden, news } = takeRide(before, ride(T0 + 600), T0 + 600)
    expect([news, dueAtS(ridden)]).toEqual([false, null])
  })

  it('tells an upgrade, and no address with it', () => {
    const before = told(after(ride(T0)), T0)
    const { ridden, news } = takeRide(before, ride(T0 + 60, HOME, '5.24.0'), T0 + 60)
    expect([news, dueAtS(ridden)]).toEqual([true, T0 + TELL_EVERY_S])
    expect(tidings(ridden, T0 + TELL_EVERY_S)).toEqual({ osqueryVersion: '5.24.0', at: null, left: [] })
  })

  it('keeps the newer version where an older flush comes late', () => {
    expect(after(ride(T0 + 60, HOME, '5.24.0'), ride(T0)).osqueryVersion).toBe('5.24.0')
  })

  it('takes no time that is still to come from an isolate whose clock is wrong', () => {
    const { ridden } = takeRide(null, ride(T0 + 86_400), T0)
    expect([ridden.versionAtS, ridden.addresses[0]?.fromS]).toEqual([T0, T0])
  })

  it('keeps the version where a request names none', () => {
    expect(after(ride(T0), ride(T0 + 60, HOME, '')).osqueryVersion).toBe('5.23.1')
  })

  it('leaves an address an hour after it was last seen there', () => {
    const moved = told(after(ride(T0), ride(T0 + 60, OFFICE)), T0 + 61)
    expect(dueAtS(moved)).toBe(T0 + LEFT_AFTER_S)
    const later = T0 + LEFT_AFTER_S + 1
    expect(tidings(moved, later)).toEqual({ osqueryVersion: null, at: [OFFICE], left: [[HOME, T0 + 60]] })
    expect(dueAtS(told(moved, later))).toBeNull()
  })

  it('was there until it was elsewhere, or until it was last seen where it was away between', () => {
    const left = (gapS: number) => {
      const moved = told(after(ride(T0), ride(T0 + gapS, OFFICE)), T0 + gapS + 1)
      return tidings(moved, T0 + gapS + LEFT_AFTER_S + 1).left
    }
    expect(left(900)).toEqual([[HOME, T0 + 900]])
    expect(left(901)).toEqual([[HOME, T0]])
  })

  it('never leaves the newest address, however long ago that was', () => {
    expect(dueAtS(told(after(ride(T0)), T0))).toBeNull()
  })

  it('flaps between two lines for a day: told twice, both kept, then one left', () => {
    let ridden = told(after(ride(T0)), T0)
    let times = 0
    for (let minute = 1; minute <= 1_440; minute += 1) {
      const nowS = T0 + 60 * minute
      ridden = takeRide(ridden, ride(nowS, minute % 2 === 0 ? HOME : OFFICE), nowS).ridden
      const dueS = dueAtS(ridden)
      if (dueS === null || dueS > nowS) continue
      times += 1
      ridden = told(ridden, nowS)
    }
    expect(times).toBe(1)
    expect(ridden.addresses.map(({ key }) => addressOfKey(key))).toEqual([HOME, OFFICE])
  })

  it('keeps four addresses of a node that has another one each minute, and tells every ten minutes', () => {
    let ridden = told(after(ride(T0)), T0)
    let times = 0
    for (let minute = 1; minute <= 60; minute += 1) {
      const nowS = T0 + 60 * minute
      ridden = takeRide(ridden, ride(nowS, `192.0.2.${minute}`), nowS).ridden
      const dueS = dueAtS(ridden)
      if (dueS === null || dueS > nowS) continue
      times += 1
      ridden = told(ridden, nowS)
    }
    expect([times, ridden.addresses.length]).toEqual([6, 4])
  })

  it('stays to be told where it changed while D1 was being told', () => {
    const before = after(ride(T0))
    const { after: asTold } = tidingsOf(before, T0)
    const meanwhile = takeRide(before, ride(T0 + 5, OFFICE, '5.24.0'), T0 + 5).ridden
    const kept = withTold(meanwhile, asTold)
    expect(tidings(kept, T0 + 700)).toEqual({ osqueryVersion: '5.24.0', at: [OFFICE, HOME], left: [] })
  })
})
