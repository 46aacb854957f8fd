/**
 * A brownout: less of everything, by one switch, while something is overloaded or away. Agents come less often, nobody is
 * accelerated, nobody new is enrolled. For one environment or for the whole deployment. Pure.
 */

import type { IntervalStretch } from './interval-edits.ts'

/** Where nothing is said: a quarter of the requests. */
export const DEFAULT_INTERVAL_FACTOR = 4
export const MOST_INTERVAL_FACTOR = 100

export interface Brownout {
  on: boolean
  reason: string
  /** Intervals are so many times as long. 1: they stay. */
  intervalFactor: number
  /** The name of the operator's token. */
  by: string
  atMs: number
  /** Null: until somebody ends it. */
  untilMs: number | null
  /**
   * Whether it, or one before it, made intervals longer: nodes that were told keep them until they are told others. Absent
   * where a Worker of before turned the switch.
   */
  wasLonger?: boolean
}

/** A switch as it is turned: it remembers what the one did that it replaces. To end what never was does nothing. */
export function following(before: Brownout | null, next: Brownout): Brownout {
  const isLonger = next.on && next.intervalFactor > 1
  return { ...next, wasLonger: isLonger || (before !== null && madeLonger(before)) }
}

function madeLonger({ wasLonger, intervalFactor }: Brownout): boolean {
  return wasLonger ?? intervalFactor > 1
}

/** What holds for one environment: its own switch, and that of the deployment. Null: never touched. */
export interface BrownoutState {
  /** Raised with every change in the deployment; a lower one never replaces a higher one. */
  sequence: number
  own: Brownout | null
  deployment: Brownout | null
}

export const NO_BROWNOUT: BrownoutState = { sequence: 0, own: null, deployment: null }

/** Server time decides when it is over. */
export function isOn(brownout: Brownout | null, nowMs: number): brownout is Brownout {
  return brownout !== null && brownout.on && (brownout.untilMs === null || brownout.untilMs > nowMs)
}

/** Those that are on. */
export function activeOf({ own, deployment }: BrownoutState, nowMs: number): Brownout[] {
  return [own, deployment].filter((brownout) => isOn(brownout, nowMs))
}

/** What the brownouts that are on do to intervals: the stronger one counts. */
export function stretchOf(state: BrownoutState, nowMs: number): IntervalStretch {
  const factor = Math.max(1, ...activeOf(state, nowMs).map(({ intervalFactor }) => intervalFactor))
  const everOn = [state.own, state.deployment].some((brownout) => brownout !== null && madeLonger(brownout))
  return { factor, everOn }
}

/** When the next of those that are on ends by itself; null: none does. */
export function nextEndOf(state: BrownoutState, nowMs: number): number | null {
  const ends = activeOf(state, nowMs).flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]))
  return ends.length === 0 ? null : Math.min(...ends)
}
