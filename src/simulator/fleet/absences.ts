/** Why an agent is not there for a while: its laptop sleeps, or is away from any network. */
import type { Dice } from './dice.ts'
import type { Lid } from './lid.ts'
import type { MemberNetwork } from './member-network.ts'
import type { Profile } from './profiles.ts'
import type { Sleeper } from './sleeper.ts'
import type { Statistics } from './statistics.ts'

/** Who goes away and comes back. */
export interface Absentee {
  readonly lid: Lid
  readonly network: MemberNetwork
  readonly dice: Readonly<Record<'sleep' | 'travel', Dice>>
  /** Told when it goes and when it is back. */
  readonly goAway: () => void
  readonly comeBack: () => void
  /** Lets its clock go on by some milliseconds and its schedule run; true as long as its clock is behind. */
  readonly passTime: (ms: number) => boolean
}

export interface AbsenceSurroundings {
  readonly profile: Profile
  readonly tempo: number
  readonly sleeper: Sleeper
  readonly statistics: Statistics
}

/**
 * Seconds from its start to when a traveller leaves, and how long it is away: it must try to send in vain at least once.
 * Its own clock runs faster meanwhile.
 */
const TRAVELS_AFTER_S = [30, 60] as const
const TRAVELS_FOR_LOG_INTERVALS = [1.2, 1.6] as const
/** A traveller's clock goes on by this at a time: the shortest interval of the schedule. */
const TRAVEL_STEP_MS = 60_000
const TRAVEL_STEPS_AT_ONCE = 20

/** Closes and opens the lid until the signal aborts. */
export async function sleepAndWake(
  { comeBack, dice, goAway, lid }: Absentee,
  { sleeper, statistics, tempo }: AbsenceSurroundings,
  sleeps: NonNullable<Profile['sleeps']>,
  signal: AbortSignal,
): Promise<void> {
  const wait = ([low, high]: readonly [number, number]) =>
    sleeper.sleep((dice.sleep.between(low, high) * 1_000) / tempo, signal)
  for (;;) {
    await wait(sleeps.awake)
    lid.close()
    statistics.naps += 1
    goAway()
    await wait(sleeps.asleep)
    lid.open()
    comeBack()
  }
}

/** Hours away from any network, in which the schedule goes on and the buffer fills. The clock runs through them. */
export async function travel(
  { comeBack, dice, goAway, network, passTime }: Absentee,
  { profile, sleeper, statistics, tempo }: AbsenceSurroundings,
  signal: AbortSignal,
): Promise<void> {
  await sleeper.sleep((dice.travel.between(...TRAVELS_AFTER_S) * 1_000) / tempo, signal)
  const awayIntervals = dice.travel.between(...TRAVELS_FOR_LOG_INTERVALS)
  const isBackAtMs = Date.now() + (awayIntervals * profile.intervals.log * 1_000) / tempo
  network.isReachable = false
  statistics.travels += 1
  goAway()
  for (let isBehind = true; isBehind;) {
    for (let step = 0; step < TRAVEL_STEPS_AT_ONCE && isBehind; step += 1)
      isBehind = passTime(TRAVEL_STEP_MS / tempo)
    // Others want to live, too.
    await sleeper.sleep(0, signal)
  }
  await sleeper.sleep(isBackAtMs - Date.now(), signal)
  network.isReachable = true
  comeBack()
}
