/** What the fleet's operator does while it runs: opens queries, asks for files, deletes nodes, changes the configuration. */
import { untilAborted } from '../until-aborted.ts'
import type { AnswerLedger } from './answer-ledger.ts'
import type { CarveLedger } from './carve-ledger.ts'
import { ConfigurationChanges } from './configuration-changes.ts'
import { Dice } from './dice.ts'
import { LiveCarves } from './live-carves.ts'
import { LiveQueries } from './live-queries.ts'
import type { Member } from './member.ts'
import { NodeDeletions } from './node-deletions.ts'
import type { OperatorClient } from './operator-client.ts'
import type { Profile } from './profiles.ts'
import type { Sleeper } from './sleeper.ts'
import type { Statistics } from './statistics.ts'

/** Something that the fleet's operator does over and over. */
export interface Deed {
  readonly client: OperatorClient
  /** UUID or name. */
  readonly environment: string
  readonly everyMs: number
}

/** What is to be done, and how often. */
export interface DeedOptions {
  /** Opens a live query for all nodes. */
  readonly queries?: Deed
  /** Asks some nodes for a file. */
  readonly carves?: Deed
  /** Deletes a node: its agents must enroll anew. */
  readonly deletions?: Deed
  /** Changes the configuration: only for an environment of the fleet's own. */
  readonly configurations?: Deed
}

export interface DeedSurroundings {
  readonly members: readonly Member[]
  readonly profile: Profile
  readonly seed: string
  readonly tempo: number
  readonly statistics: Statistics
  readonly answers: AnswerLedger
  readonly carves: CarveLedger
  readonly sleeper: Sleeper
}

export interface Deeds {
  readonly liveQueries: LiveQueries | undefined
  readonly liveCarves: LiveCarves | undefined
  readonly deletions: NodeDeletions | undefined
  readonly configurations: ConfigurationChanges | undefined
  /** Does them until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>
}

export function makeDeeds(options: DeedOptions, surroundings: DeedSurroundings): Deeds {
  const { answers, carves, members, profile, seed, sleeper, statistics, tempo } = surroundings
  const label = `sim-${seed}-${Date.now().toString(36)}`
  const dice = new Dice(`operator of ${seed}`)
  const online = () => members.filter(({ isOnline }) => isOnline)
  // Whose node was deleted has none for a while.
  const deleted = new Set<number>()
  const pick = (count: number) =>
    pickSome(
      online().filter(({ plan }) => !deleted.has(plan.machine)),
      count,
      dice,
    )

  const liveQueries =
    options.queries &&
    new LiveQueries({
      ...placeOf(options.queries),
      ledger: answers,
      label,
      online: () => new Set(online().map(({ plan }) => plan.machine)),
    })
  const liveCarves =
    options.carves && new LiveCarves({ ...placeOf(options.carves), answers, carves, label, pick })
  const deletions =
    options.deletions &&
    new NodeDeletions({
      ...placeOf(options.deletions),
      pick: () => pick(1)[0],
      onDeleting: (machine) => {
        statistics.deleted += 1
        deleted.add(machine)
        answers.forgive(machine)
        carves.forgive(machine, Date.now())
      },
    })
  const configurations =
    options.configurations && new ConfigurationChanges({ ...placeOf(options.configurations), profile, tempo })

  const repeat = (deed: Deed | undefined, act: () => Promise<void> | undefined) => (signal: AbortSignal) =>
    untilAborted(signal, async () => {
      while (deed) {
        await sleeper.sleep(deed.everyMs, signal)
        await act()
      }
    })
  const loops = [
    repeat(options.queries, () => liveQueries?.open()),
    repeat(options.carves, () => liveCarves?.ask()),
    repeat(options.deletions, () => deletions?.remove()),
    repeat(options.configurations, () => configurations?.change()),
  ]
  return {
    liveQueries,
    liveCarves,
    deletions,
    configurations,
    run: async (signal) => {
      await Promise.all(loops.map((loop) => loop(signal)))
    },
  }
}

function placeOf({ client, environment }: Deed): Pick<Deed, 'client' | 'environment'> {
  return { client, environment }
}

/** Some of the members, no machine twice. */
function pickSome(members: readonly Member[], count: number, dice: Dice): Member[] {
  const picked = new Map<number, Member>()
  for (let tries = 0; tries < 4 * count && picked.size < count; tries += 1) {
    const member = members[Math.floor(dice.next() * members.length)]
    if (member) picked.set(member.plan.machine, member)
  }
  return [...picked.values()]
}
