/** Runs a fleet: makes its members, lets them live for the time, and hands over what happened. */
import { endpointsFor } from '../endpoints.ts'
import { AnswerLedger } from './answer-ledger.ts'
import { Dice } from './dice.ts'
import { LineLedger } from './line-ledger.ts'
import { LiveQueries } from './live-queries.ts'
import { LossyTransport } from './lossy-transport.ts'
import { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'
import type { Profile } from './profiles.ts'
import { makeRoster } from './roster.ts'
import { SharedTables } from './shared-tables.ts'
import { Sleeper } from './sleeper.ts'
import { Statistics } from './statistics.ts'

export interface FleetOptions {
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
  /** Opens a live query this often. */
  readonly queries?: {
    readonly client: OperatorClient
    readonly environment: string
    readonly everyMs: number
  }
}

/** What a fleet is and did; live while it runs. */
export interface Fleet {
  readonly members: readonly Member[]
  readonly statistics: Statistics
  readonly lines: LineLedger
  readonly answers: AnswerLedger
  readonly transport: LossyTransport
  readonly liveQueries: LiveQueries | undefined
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

/** Starts a fleet; it ends by itself. */
export function startFleet(options: FleetOptions): Fleet {
  const { profile, seed } = options
  const surroundings = {
    url: options.url,
    endpoints: endpointsFor('canonical'),
    enrollSecret: options.enrollSecret,
    profile,
    tempo: options.tempo,
    transport: newTransport(options),
    sleeper: new Sleeper(),
    tables: new SharedTables(),
    statistics: new Statistics(),
    lines: new LineLedger(),
    answers: new AnswerLedger(),
  }
  const roster = makeRoster(profile, options.nodes, seed, options.spreadMs)
  const members = roster.map((plan) => new Member(plan, surroundings))
  const liveQueries =
    options.queries &&
    new LiveQueries({
      client: options.queries.client,
      environment: options.queries.environment,
      ledger: surroundings.answers,
      label: `sim-${seed}`,
      online: () => new Set(members.filter(({ isOnline }) => isOnline).map(({ plan }) => plan.machine)),
    })
  const { answers, lines, statistics, transport } = surroundings
  const ended = run(members, options, surroundings.sleeper, liveQueries).finally(() => {
    forgetLateQueries(options, answers)
    surroundings.sleeper.close()
    surroundings.tables.close()
    transport.close()
  })
  return { members, statistics, lines, answers, transport, liveQueries, ended }
}

async function run(
  members: readonly Member[],
  { profile, queries, runMs, stop }: FleetOptions,
  sleeper: Sleeper,
  liveQueries: LiveQueries | undefined,
): Promise<void> {
  const ending = new AbortController()
  const end = () => ending.abort()
  stop?.addEventListener('abort', end, { once: true })
  const timer = setTimeout(end, runMs)
  const { signal } = ending
  const opening =
    queries && liveQueries
      ? untilAborted(signal, async () => {
          for (;;) {
            await sleeper.sleep(queries.everyMs, signal)
            await liveQueries.open()
          }
        })
      : undefined
  if (profile.isStorm) {
    const all = Promise.all(members.map((member) => untilAborted(signal, () => member.enroll(signal))))
    await untilAborted(signal, () =>
      Promise.race([all, sleeper.sleep(runMs * LONGEST_ENROLLING_SHARE, signal)]),
    )
  }
  const lives = Promise.all([
    ...members.map((member) => untilAborted(signal, () => member.live(signal))),
    opening,
  ])
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.race([lives, aborted])
  clearTimeout(timer)
  await Promise.race([lives, sleeper.sleep(ENDING_MS)])
}

/** Queries that were opened too late for everybody to answer are not judged by who kept silent. */
function forgetLateQueries({ profile, tempo }: FleetOptions, answers: AnswerLedger): void {
  const windowMs = (profile.intervals.distributed * 1_000 * ANSWER_INTERVALS) / tempo + ANSWER_SLACK_MS
  for (const query of answers.queries) if (Date.now() - query.openedAtMs < windowMs) query.expected.clear()
}

function newTransport({ ca, keepAlive, profile, seed }: FleetOptions): LossyTransport {
  return new LossyTransport(
    { ...(ca !== undefined && { ca }), timeoutMs: TIMEOUT_MS, keepAlive, transparentResend: true },
    profile.lostReplyChance,
    new Dice(`network of ${seed}`),
  )
}

// A wait that the signal cuts short rejects; that is how a life ends, and no error.
async function untilAborted(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
