/**
 * The gates of a rollout: what its members tell, held against limits. A gate without data says so; it never passes by
 * not knowing. Pure.
 */

import type { Verdict } from './rollout.ts'

/** Each limit; null: the gate is off. Shares are 0 to 1, ratios are times of what is usual. */
export interface GateLimits {
  /** Share of the members online that were served the version, at least. */
  documentReceived: number | null
  /** Share of the members that reported and left a scheduled query out as denylisted, at most. */
  denylisted: number | null
  /** Share of members with errors of scheduled queries beyond the share of the other nodes, at most. */
  queryErrors: number | null
  /** Share of members that were there and are not any more, beyond the share of the other nodes, at most. */
  checkInsLost: number | null
  /** CPU time, memory and bytes of results of scheduled queries, by node and hour, at most so many times as usual. */
  cpu: number | null
  memory: number | null
  logVolume: number | null
}
export const GATES = [
  'documentReceived',
  'denylisted',
  'queryErrors',
  'checkInsLost',
  'cpu',
  'memory',
  'logVolume',
] as const satisfies readonly (keyof GateLimits)[]
export type Gate = (typeof GATES)[number]

export const DEFAULT_LIMITS: GateLimits = {
  documentReceived: 0.9,
  denylisted: 0.02,
  queryErrors: 0.05,
  checkInsLost: 0.05,
  cpu: 1.5,
  memory: 1.5,
  logVolume: 2,
}

/** Twice of almost nothing is nothing: below these a ratio does not count. */
export const FLOORS = {
  /** 1 % of one core. */
  cpu: 36_000,
  /** What an osqueryd holds when it does nothing much (spec of its watchdog: 200 MB are allowed). */
  memory: 50 * 1_024 ** 2,
  /** A fleet's usual lines are some 50 KB for each node and hour. */
  logVolume: 100_000,
} as const

/** A number of members against the same of who is compared with; null: not known. */
export interface Usage {
  members: number
  usual: number
}

/** What is known of the members of a step; null: nothing. */
export interface Measured {
  members: number
  online: number
  received: number
  /** Of the members that reported costs, those with a denylisted query. */
  denylisted: Share | null
  queryErrors: { members: Share; others: Share } | null
  checkInsLost: { members: Share; others: Share } | null
  cpu: Usage | null
  memory: Usage | null
  logVolume: Usage | null
}

export interface Share {
  nodes: number
  of: number
}

export interface GateReading {
  gate: Gate
  /** `hold`: not good yet, and no failure. */
  status: 'pass' | 'hold' | 'fail' | 'unknown' | 'off'
  /** What was measured; null: not known. */
  value: number | null
  limit: number | null
  /** What the value is of, in words. */
  detail: string
}

/** Every gate's reading. */
export function readGates(limits: GateLimits, measured: Measured): GateReading[] {
  return GATES.map((gate) => {
    const limit = limits[gate]
    if (limit === null) return { gate, status: 'off', value: null, limit, detail: 'is off' }
    const { value, detail, isGood } = readingOf(gate, limit, measured)
    // A document that has not come yet is waited for.
    const bad = gate === 'documentReceived' ? 'hold' : 'fail'
    return { gate, status: isGood === null ? 'unknown' : isGood ? 'pass' : bad, value, limit, detail }
  })
}

/** What the readings come to. */
export function verdictOf(readings: readonly GateReading[], whenUnknown: 'hold' | 'pass'): Verdict {
  const has = (wanted: GateReading['status']) => readings.some(({ status }) => status === wanted)
  if (has('fail')) return 'fail'
  return has('hold') || (has('unknown') && whenUnknown === 'hold') ? 'hold' : 'pass'
}

interface Reading {
  value: number | null
  detail: string
  /** Null: not known. */
  isGood: boolean | null
}

function readingOf(gate: Gate, limit: number, measured: Measured): Reading {
  switch (gate) {
    case 'documentReceived': {
      const { members, online, received } = measured
      if (online === 0) return unknown(`none of ${members} members is online`)
      const value = received / online
      return { value, detail: `${received} of ${online} members online have it`, isGood: value >= limit }
    }
    case 'denylisted': {
      const { denylisted } = measured
      if (denylisted === null || denylisted.of === 0) return unknown('no member reported its queries yet')
      const value = shareOf(denylisted)
      return { value, detail: wordsOf(denylisted, 'that reported'), isGood: value <= limit }
    }
    case 'queryErrors':
      return beyondOthers(measured.queryErrors, limit, 'had errors')
    case 'checkInsLost':
      return beyondOthers(measured.checkInsLost, limit, 'that were there are gone')
    default:
      return usageOf(measured[gate], limit, FLOORS[gate])
  }
}

function beyondOthers(
  shares: { members: Share; others: Share } | null,
  limit: number,
  what: string,
): Reading {
  if (shares === null || shares.members.of === 0) return unknown('no member told of it yet')
  const { members, others } = shares
  const value = Math.max(0, shareOf(members) - shareOf(others))
  const detail = `members: ${wordsOf(members, what)}; others: ${wordsOf(others, what)}`
  return { value, detail, isGood: value <= limit }
}

function usageOf(usage: Usage | null, limit: number, floor: number): Reading {
  if (usage === null) return unknown('nothing to compare yet')
  const { members, usual } = usage
  const value = usual > 0 ? members / usual : members > 0 ? null : 1
  const detail = `${Math.round(members)} for a member, ${Math.round(usual)} usually`
  const isGood = members <= floor || (value !== null && value <= limit)
  return { value, detail, isGood }
}

function unknown(detail: string): Reading {
  return { value: null, detail, isGood: null }
}

function shareOf({ nodes, of }: Share): number {
  return of === 0 ? 0 : nodes / of
}

function wordsOf({ nodes, of }: Share, what: string): string {
  return `${nodes} of ${of} ${what}`
}
