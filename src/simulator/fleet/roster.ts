/** Who is in a fleet: everything about a member follows from the fleet's seed and the member's number. Pure. */
import type { AgentState } from '../agent-options.ts'
import type { HostIdentifierKind, Platform } from '../host.ts'
import { SeededChoice } from '../rng.ts'
import { Dice } from './dice.ts'
import type { Profile } from './profiles.ts'

/** One simulated node. */
export interface MemberPlan {
  readonly index: number
  /** What happens to it follows from this. */
  readonly seed: string
  /**
   * The machine that it is; clones are several members of one machine. A number below the size of the fleet.
   * The server knows machines, not members.
   */
  readonly machine: number
  readonly machineSeed: string
  readonly platform: Platform
  readonly version: string
  readonly instanceId: string
  readonly hostIdentifier: HostIdentifierKind
  readonly isGzip: boolean
  readonly clockSkewMs: number
  /** Hours of its own time that it is away from any network, and how many lines it may keep; absent: never away. */
  readonly travel: { readonly hours: number; readonly maxBufferedLines: number } | undefined
  /** How long after the fleet it starts. */
  readonly startsAfterMs: number
}

const MAX_SKEW_MS = 86_400_000
const IDENTIFIERS = { uuid: 0.8, instance: 0.1, hostname: 0.1 }

/** The members, in order. `spreadMs`: time over which they start, unless the profile has all start at once. */
export function makeRoster(profile: Profile, nodes: number, seed: string, spreadMs: number): MemberPlan[] {
  const roster: MemberPlan[] = []
  for (let index = 0; index < nodes; index += 1) {
    const dice = new Dice(`${seed}/${index}`)
    const original = dice.hits(profile.cloneShare) ? roster[Math.floor(dice.next() * index)] : undefined
    const machine = original?.machine ?? index
    const machineSeed = `${seed}/${machine}`
    const hasSameDisk = original !== undefined && dice.hits(0.5)
    const ownId = new SeededChoice(`instance:${seed}/${index}`).uuid('instance-id')
    roster.push({
      index,
      seed: `${seed}/${index}`,
      machine,
      machineSeed,
      platform: original?.platform ?? dice.share(profile.platforms),
      version: dice.share(profile.versions),
      instanceId: hasSameDisk ? original.instanceId : ownId,
      hostIdentifier: dice.share(IDENTIFIERS),
      isGzip: dice.hits(profile.gzipShare),
      clockSkewMs: dice.hits(profile.skewedShare) ? Math.round(dice.between(-MAX_SKEW_MS, MAX_SKEW_MS)) : 0,
      travel: dice.hits(profile.travelShare) ? travelPlan(dice) : undefined,
      startsAfterMs: profile.isStorm ? 0 : Math.round(dice.next() * spreadMs),
    })
  }
  return roster
}

/** Half of those that are away have room for fewer lines than they make (`buffered_log_max`). */
function travelPlan(dice: Dice): MemberPlan['travel'] {
  return { hours: dice.between(6, 18), maxBufferedLines: dice.hits(0.5) ? 300 : 1_000_000 }
}

/** The state of a member that never ran. */
export function firstState({ instanceId }: MemberPlan): AgentState {
  return {
    format: 1,
    uuid: '',
    instanceId,
    nodeKey: '',
    lines: [],
    remembered: {},
    queue: {},
    accelerateUntilMs: 0,
    carves: [],
  }
}
