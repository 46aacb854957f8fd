/** Runs a fleet: makes its members, lets them live for the time, and hands over what happened. */
import { endpointsFor } from '../endpoints.ts'
import { untilAborted } from '../until-aborted.ts'
import { AnswerLedger } from './answer-ledger.ts'
import { CarveLedger } from './carve-ledger.ts'
import type { DeedOptions, Deeds } from './deeds.ts'
import { makeDeeds } from './deeds.ts'
import { Dice } from './dice.ts'
import { LineLedger } from './line-ledger.ts'
import { LossyTransport } from './lossy-transport.ts'
import { Member, type MemberSurroundings } from './member.ts'
import type { Profile } from './profiles.ts'
import { makeRoster } from './roster.ts'
import { SharedTables } from './shared-tables.ts'
import { Sleeper } from './sleeper.ts'
import { Statistics } from './statistics.ts'

export interface FleetOptions extends DeedOptions {
  /** Base URL without a trailing slash. */
  readonly url: string
  readonly ca?: string
  readonly enrollSecret: string
  readonly profile: Profile
  readonly nodes: number
  readonly seed: string
  readonly runMs: number
  /** Time over which members start; a storm's start at once. */
  readonly spreadMs: number
  /** Divides the times that a profile gives. */
  readonly tempo: number
  readonly keepAlive: boolean
  /** Ends the run before its time. */
  readonly stop?: AbortSignal
  /** See {@link MemberSurroundings}. */
  readonly isPoison?: MemberSurroundings['isPoison']
  readonly onConfiguration?: MemberSurroundings['onConfiguration']
}

/** What a fleet is and did; live while it runs. */
export interface Fleet extends Omit<Deeds, 'run'> {
  readonly members: readonly Member[]
  readonly statistics: Statistics
  readonly lines: LineLedger
  readonly answers: AnswerLedger
  readonly carves: CarveLedger
  readonly transport: LossyTransport
  /** How many should have fetched a changed configuration when the run ended, and how many had not. */
  readonly configured: { due: number; late: number }
  /** Resolves when all members have ended. */
  readonly ended: Promise<void>
}

/** osqueryd's, see transport.ts. */
const TIMEOUT_MS = 16_000
/** A storm begins to poll when all have enrolled, but after this share of the run at the latest. */
const LONGEST_ENROLLING_SHARE = 0.6
/** Members that enroll cannot be interrupted while they wait for their next try. */
const ENDING_MS = 3_000
/** An online agent answers within two of its intervals, with the server's splay of 10 % ... */
const ANSWER_INTERVALS = 2.2
/** ... and, where the offer was lost on its way, after the 30 s that the server waits before it offers again. */
const ANSWER_SLACK_MS = 45_000
/** A carve begins at the next whole minute, and its lost blocks are sent again after 1 s and 4 s. */
const CARVE_SLACK_MS = 90_000

/** Starts a fleet; it ends by itself. */
export function startFleet(options: FleetOptions): Fleet {
  const { profile, seed } = options
  const endpoints = endpointsFor('canonical')
  const transport = newTransport(options, endpoints.carveBlock)
  const surroundings = {
    url: options.url,
    endpoints,
    enrollSecret: options.enrollSecret,
    profile,
    tempo: options.tempo,
    senderFor: (member: string) => transport.senderFor(member),
    sleeper: new Sleeper(),
    tables: new SharedTables(),
    statistics: new Statistics(),
    lines: new LineLedger(),
    answers: new AnswerLedger(),
    carves: new CarveLedger(),
    ...(options.isPoison && { isPoison: options.isPoison }),
    ...(options.onConfiguration && { onConfiguration: options.onConfiguration }),
  }
  const roster = makeRoster(profile, options.nodes, seed, options.spreadMs)
  const members = roster.map((plan) => new Member(plan, surroundings))
  const { run: actUntil, ...deeds } = makeDeeds(options, { ...surroundings, members, seed })
  const configured = { due: 0, late: 0 }
  const onEnd = () => Object.assign(configured, deeds.configurations?.judge(members, Date.now()))
  const { answers, carves, lines, sleeper, statistics } = surroundings
  const ended = run(members, options, sleeper, actUntil, onEnd).finally(() => {
    forgetLate(options, answers, carves)
    sleeper.close()
    surroundings.tables.close()
    transport.close()
  })
  return { members, statistics, lines, answers, carves, transport, ...deeds, configured, ended }
}

async function run(
  members: readonly Member[],
  { profile, runMs, stop }: FleetOptions,
  sleeper: Sleeper,
  actUntil: (signal: AbortSignal) => Promise<void>,
  onEnd: () => void,
): Promise<void> {
  const ending = new AbortController()
  const { signal } = ending
  // Before all others that listen: members are still what they are.
  signal.addEventListener('abort', onEnd, { once: true })
  const end = () => ending.abort()
  stop?.addEventListener('abort', end, { once: true })
  const timer = setTimeout(end, runMs)
  const acting = actUntil(signal)
  if (profile.isStorm) {
    const all = Promise.all(members.map((member) => untilAborted(signal, () => member.enroll(signal))))
    await untilAborted(signal, () =>
      Promise.race([all, sleeper.sleep(runMs * LONGEST_ENROLLING_SHARE, signal)]),
    )
  }
  const lives = Promise.all([
    ...members.map((member) => untilAborted(signal, () => member.live(signal))),
    acting,
  ])
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.race([lives, aborted])
  clearTimeout(timer)
  await Promise.race([lives, sleeper.sleep(ENDING_MS)])
}

/** What was asked for too late for everybody to answer is not judged by who kept silent. */
function forgetLate({ profile, tempo }: FleetOptions, answers: AnswerLedger, carves: CarveLedger): void {
  const windowMs = (profile.intervals.distributed * 1_000 * ANSWER_INTERVALS) / tempo + ANSWER_SLACK_MS
  answers.expectUntil(Date.now() - windowMs)
  carves.expectUntil(Date.now() - windowMs - CARVE_SLACK_MS)
}

function newTransport({ ca, keepAlive, profile, seed }: FleetOptions, blockPath: string): LossyTransport {
  return new LossyTransport(
    { ...(ca !== undefined && { ca }), timeoutMs: TIMEOUT_MS, keepAlive, transparentResend: true },
    profile.lostReplyChance,
    new Dice(`network of ${seed}`),
    { path: blockPath, chance: profile.lostBlockChance },
  )
}
