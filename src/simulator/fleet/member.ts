/** The life of one simulated node: it starts, sleeps, travels, dies in a query or an upload, and is started again. */
import type { AgentEvent, AgentState } from '../agent-options.ts'
import { CARVE_CHECK_INTERVAL_MS, SimulatedAgent } from '../agent.ts'
import { dialectOf } from '../dialect.ts'
import type { SimulatedHost } from '../host.ts'
import type { Endpoints } from '../endpoints.ts'
import type { JsonObject } from '../json.ts'
import type { LineKind } from '../log-buffer.ts'
import type { Flags } from '../settings.ts'
import type { Sender } from '../transport.ts'
import { untilAborted } from '../until-aborted.ts'
import type { Absentee } from './absences.ts'
import { sleepAndWake, travel } from './absences.ts'
import type { AnswerLedger } from './answer-ledger.ts'
import type { CarveLedger } from './carve-ledger.ts'
import { madeUpFile } from './carve-ledger.ts'
import { Dice } from './dice.ts'
import { Lid } from './lid.ts'
import type { LineLedger } from './line-ledger.ts'
import { flagsOf } from './member-flags.ts'
import { MemberNetwork } from './member-network.ts'
import type { Profile } from './profiles.ts'
import { REVISION_OPTION } from './profiles.ts'
import type { MemberPlan } from './roster.ts'
import { firstState } from './roster.ts'
import type { SharedTables } from './shared-tables.ts'
import type { Sleeper } from './sleeper.ts'
import type { Statistics } from './statistics.ts'

/** What all members share. */
export interface MemberSurroundings {
  readonly url: string
  readonly endpoints: Endpoints
  readonly enrollSecret: string
  readonly profile: Profile
  readonly tempo: number
  /** A member's way to the server; the seed decides what is lost on it. */
  readonly senderFor: (seed: string) => Sender
  readonly sleeper: Sleeper
  readonly tables: SharedTables
  readonly statistics: Statistics
  readonly lines: LineLedger
  readonly answers: AnswerLedger
  readonly carves: CarveLedger
  /** Whether a scheduled query kills the process that runs it; absent: none does. */
  readonly isPoison?: (sql: string) => boolean
  /** Told of each configuration that a member took on or has again, and of the flags that it runs under then. */
  readonly onConfiguration?: (member: Member, document: JsonObject, flags: Flags) => void
}

/** How long a service manager takes to start a dead osqueryd. */
const RESTART_MS = [2_000, 8_000] as const
const HOUR_MS = 3_600_000
/** After a failure the next configuration may be this long away (`config_accelerated_refresh`). */
const ACCELERATED_REFRESH_MS = 300_000

export class Member {
  readonly plan: MemberPlan
  readonly network: MemberNetwork
  readonly #surroundings: MemberSurroundings
  /** Dice of its own for each kind of chance, so that none depends on when the others were thrown. */
  readonly #dice: Readonly<Record<'sleep' | 'travel' | 'query' | 'upload' | 'restart', Dice>>
  readonly #lid = new Lid()
  /** SQL of the distributed queries whose answers were not accepted yet, by id. */
  readonly #sql = new Map<string, string>()
  #agent: SimulatedAgent
  #awake: AbortController | undefined
  /** State at the moment of a crash that has not been dealt with. */
  #atCrash: AgentState | undefined
  #hasEnrolled = false
  #lives = 0
  /** A traveller's clock before it has left is behind by the time that it will be away. */
  #behindMs: number
  /** What the last log POST held. */
  #lastKind: LineKind = 'result'
  /** Since when nothing has kept it from fetching its configuration: since 1970. */
  steadySinceMs = Infinity

  constructor(plan: MemberPlan, surroundings: MemberSurroundings) {
    this.plan = plan
    this.#surroundings = surroundings
    const dice = (kind: string) => new Dice(`${kind} of ${plan.seed}`)
    this.#dice = {
      sleep: dice('sleep'),
      travel: dice('travel'),
      query: dice('query'),
      upload: dice('upload'),
      restart: dice('restart'),
    }
    this.#behindMs = ((plan.travel?.hours ?? 0) * HOUR_MS) / surroundings.tempo
    this.network = new MemberNetwork({
      inner: surroundings.senderFor(plan.seed),
      lid: this.#lid,
      diesAt: (url) => this.#diesAt(url),
      place: dice('place'),
    })
    this.#agent = this.#newAgent(firstState(plan))
  }

  /** Running, reachable and enrolled: it should answer what it is asked. */
  get isOnline(): boolean {
    const isThere = this.#awake !== undefined && !this.#lid.isClosed && this.network.isReachable
    return isThere && this.#agent.nodeKey !== ''
  }

  get hardwareUuid(): string {
    return this.host.uuid.toLowerCase()
  }

  get host(): SimulatedHost {
    return this.#agent.identity.host
  }

  get hasEnrolled(): boolean {
    return this.#hasEnrolled
  }

  /** Which of the fleet's configurations it holds. */
  get revision(): number {
    return Number(this.#agent.flags[REVISION_OPTION] ?? 0)
  }

  /** Enrolls and does nothing else; tries again until it has a key or the signal aborts. */
  async enroll(signal: AbortSignal): Promise<void> {
    await this.#surroundings.sleeper.sleep(this.plan.startsAfterMs, signal)
    while (!signal.aborted && this.#agent.nodeKey === '') await this.#agent.enroll()
  }

  /** Lives until the signal aborts. */
  async live(signal: AbortSignal): Promise<void> {
    if (this.#agent.nodeKey === '') await this.#surroundings.sleeper.sleep(this.plan.startsAfterMs, signal)
    const { sleeps } = this.#surroundings.profile
    const absentee = this.#asAbsentee()
    await Promise.all([
      untilAborted(signal, () => this.#liveAgainAndAgain(signal)),
      sleeps && untilAborted(signal, () => sleepAndWake(absentee, this.#surroundings, sleeps, signal)),
      this.plan.travel && untilAborted(signal, () => travel(absentee, this.#surroundings, signal)),
    ])
  }

  async #liveAgainAndAgain(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#run(signal)
      if (signal.aborted) return
      this.#goAway()
      await this.#sleep(this.#dice.restart.between(...RESTART_MS), signal)
      this.#agent.close()
      this.#sql.clear()
      this.#agent = this.#newAgent(this.#atCrash ?? this.#agent.exportState())
      this.#atCrash = undefined
    }
  }

  /** One process, until it crashes or the signal aborts. */
  async #run(signal: AbortSignal): Promise<void> {
    const awake = new AbortController()
    const stop = () => awake.abort()
    signal.addEventListener('abort', stop, { once: true })
    this.#awake = awake
    this.steadySinceMs = Date.now()
    try {
      await this.#agent.run(awake.signal)
    } finally {
      signal.removeEventListener('abort', stop)
      this.#awake = undefined
    }
  }

  #asAbsentee(): Absentee {
    return {
      lid: this.#lid,
      network: this.network,
      dice: this.#dice,
      goAway: () => this.#goAway(),
      comeBack: () => {
        this.steadySinceMs = Date.now()
      },
      passTime: (ms) => {
        this.network.isAbroad = true
        this.#behindMs = Math.max(0, this.#behindMs - ms)
        this.#agent.runSchedule()
        return this.#behindMs > 0
      },
    }
  }

  #sleep(waitMs: number, signal?: AbortSignal): Promise<void> {
    return this.#surroundings.sleeper.sleep(waitMs, signal).then(() => this.#lid.passed(signal))
  }

  /** What is open is not owed by who went away. */
  #goAway(): void {
    const { answers, carves } = this.#surroundings
    this.steadySinceMs = Infinity
    answers.excuse(this.plan.machine)
    carves.excuse(this.plan.machine)
  }

  #newAgent(state: AgentState): SimulatedAgent {
    const { plan } = this
    const { answers, enrollSecret, endpoints, lines, statistics, tables, tempo, url } = this.#surroundings
    const { hasMessages } = dialectOf(plan.version)
    this.#lives += 1
    return new SimulatedAgent({
      url,
      endpoints,
      enrollSecret,
      state,
      transport: this.network,
      platform: plan.platform,
      seed: plan.machineSeed,
      version: plan.version,
      hostIdentifier: plan.hostIdentifier,
      pid: 1_000 + Math.floor(new Dice(`process ${this.#lives} of ${plan.seed}`).next() * 30_000),
      flags: flagsOf(plan),
      counters: statistics.counters,
      createEngine: tables.createEngine,
      carveCheckIntervalMs: CARVE_CHECK_INTERVAL_MS / tempo,
      readFile: async (path) => madeUpFile(plan.machineSeed, path),
      sleep: (waitMs, signal) => this.#sleep(waitMs, signal),
      now: () => Date.now() + plan.clockSkewMs - this.#behindMs,
      onRequest: (request) => statistics.request(request),
      onEvent: (event) => this.#onEvent(event),
      onScheduledQuery: ({ sql }) => {
        if (this.#surroundings.isPoison?.(sql) === true && this.#crash()) statistics.killed += 1
      },
      onBatch: (stage, batch) => {
        this.#lastKind = batch.kind
        lines.note(stage, batch, plan.machine)
        if (stage === 'acknowledged') statistics.upload(plan.index, batch.kind, true)
      },
      onAnswers: (stage, sent) => {
        for (const [id, answer] of sent) {
          const told = hasMessages ? answer : { ...answer, message: '' }
          answers.note(stage, this.#sql.get(id) ?? '', told, plan.machine, Date.now())
        }
        if (stage === 'sent') return
        statistics.upload(plan.index, 'write', true)
        for (const id of sent.keys()) this.#sql.delete(id)
      },
    })
  }

  #onEvent(event: AgentEvent): void {
    const { carves, profile, statistics } = this.#surroundings
    switch (event.kind) {
      case 'enrolled':
        if (!this.#hasEnrolled) statistics.enrolled += 1
        this.#hasEnrolled = true
        return
      case 'config':
        this.#surroundings.onConfiguration?.(this, this.#agent.config, this.#agent.flags)
        if (this.isOnline) this.steadySinceMs = Math.min(this.steadySinceMs, Date.now())
        return
      case 'call-failed':
        return this.#onFailure(event)
      case 'carve-packed':
      case 'carved':
        return carves.note(event.carve, this.plan.machine)
      case 'lines-purged':
        if (this.plan.travel) statistics.purgedOnPurpose += event.lines
        return
      case 'query-answered':
        this.#sql.set(event.id, event.sql)
        return
      case 'query-started':
        if (!this.#dice.query.hits(profile.crashChance) || !this.#crash()) return
        statistics.killed += 1
        return
      default:
    }
  }

  #onFailure({ cause, endpoint, reason }: Extract<AgentEvent, { kind: 'call-failed' }>): void {
    const { statistics } = this.#surroundings
    if (this.#awake?.signal.aborted) return
    statistics.failed(endpoint, reason)
    if (endpoint === 'config') this.steadySinceMs = Date.now() + ACCELERATED_REFRESH_MS
    if (endpoint === 'log' && cause === 'refused') statistics.upload(this.plan.index, this.#lastKind, false)
    if (endpoint === 'write' && cause === 'refused') statistics.upload(this.plan.index, 'write', false)
    // Counted where it is judged (session.ts); here it happens.
    if (cause === 'crash') this.#crash()
  }

  #diesAt(url: string): boolean {
    const { endpoints, profile, statistics } = this.#surroundings
    if (!url.endsWith(endpoints.log) || !this.#dice.upload.hits(profile.uploadCrashChance)) return false
    if (!this.#crash()) return false
    statistics.killedInUpload += 1
    return true
  }

  // What osqueryd has on disk at this moment goes on; what runs, and answers that only memory holds, are lost.
  #crash(): boolean {
    if (!this.#awake || this.#awake.signal.aborted) return false
    this.#atCrash = this.#agent.exportState()
    this.#awake.abort()
    return true
  }
}
