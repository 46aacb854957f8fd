/** The life of one simulated node: it starts, sleeps and wakes, dies in a query and is started again. */
import type { AgentEvent, AgentState } from '../agent-options.ts'
import { SimulatedAgent } from '../agent.ts'
import { dialectOf } from '../dialect.ts'
import type { Endpoints } from '../endpoints.ts'
import type { Transport } from '../transport.ts'
import type { AnswerLedger } from './answer-ledger.ts'
import { Dice } from './dice.ts'
import type { LineLedger } from './line-ledger.ts'
import type { Profile } from './profiles.ts'
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
  readonly transport: Transport
  readonly sleeper: Sleeper
  readonly tables: SharedTables
  readonly statistics: Statistics
  readonly lines: LineLedger
  readonly answers: AnswerLedger
}

/** How long a service manager takes to start a dead osqueryd. */
const RESTART_MS = [2_000, 8_000] as const

type End = 'stopped' | 'asleep' | 'crashed'

export class Member {
  readonly plan: MemberPlan
  readonly #surroundings: MemberSurroundings
  readonly #dice: Dice
  /** SQL of the distributed queries whose answers were not accepted yet, by id. */
  readonly #sql = new Map<string, string>()
  #agent: SimulatedAgent
  #awake: AbortController | undefined
  /** State at the moment of a crash that has not been dealt with. */
  #atCrash: AgentState | undefined
  #hasEnrolled = false

  constructor(plan: MemberPlan, surroundings: MemberSurroundings) {
    this.plan = plan
    this.#surroundings = surroundings
    this.#dice = new Dice(`life of ${plan.machineSeed}/${plan.index}`)
    this.#agent = this.#newAgent(firstState(plan))
  }

  /** Running and enrolled: it should answer what it is asked. */
  get isOnline(): boolean {
    return this.#awake !== undefined && this.#agent.nodeKey !== ''
  }

  /** Of its machine, in lower case. */
  get hardwareUuid(): string {
    return this.#agent.identity.host.uuid.toLowerCase()
  }

  get hasEnrolled(): boolean {
    return this.#hasEnrolled
  }

  /** Enrolls and does nothing else; tries again until it has a key or the signal aborts. */
  async enroll(signal: AbortSignal): Promise<void> {
    await this.#surroundings.sleeper.sleep(this.plan.startsAfterMs, signal)
    while (!signal.aborted && this.#agent.nodeKey === '') await this.#agent.enroll()
  }

  /** Lives until the signal aborts. */
  async live(signal: AbortSignal): Promise<void> {
    const { answers, sleeper, statistics } = this.#surroundings
    if (this.#agent.nodeKey === '') await sleeper.sleep(this.plan.startsAfterMs, signal)
    while (!signal.aborted) {
      const end = await this.#wake(signal)
      if (end === 'stopped') return
      answers.excuse(this.plan.machine)
      if (end === 'asleep') {
        statistics.naps += 1
        await sleeper.sleep(this.#dice.between(...this.#period('asleep')), signal)
      } else {
        await sleeper.sleep(this.#dice.between(...RESTART_MS), signal)
        this.#agent.close()
        this.#sql.clear()
        this.#agent = this.#newAgent(this.#atCrash ?? this.#agent.exportState())
        this.#atCrash = undefined
      }
    }
  }

  /** One time awake. */
  async #wake(signal: AbortSignal): Promise<End> {
    const awake = new AbortController()
    const stop = () => awake.abort()
    signal.addEventListener('abort', stop, { once: true })
    this.#awake = awake
    let isAsleep = false
    if (this.#surroundings.profile.sleeps) {
      void this.#surroundings.sleeper.sleep(this.#dice.between(...this.#period('awake')), awake.signal).then(
        () => {
          isAsleep = true
          awake.abort()
        },
        () => undefined,
      )
    }
    try {
      await this.#agent.run(awake.signal)
    } finally {
      signal.removeEventListener('abort', stop)
      this.#awake = undefined
    }
    if (signal.aborted) return 'stopped'
    return isAsleep ? 'asleep' : 'crashed'
  }

  #period(name: 'awake' | 'asleep'): [number, number] {
    const { profile, tempo } = this.#surroundings
    const [low, high] = profile.sleeps?.[name] ?? [Infinity, Infinity]
    return [(low * 1000) / tempo, (high * 1000) / tempo]
  }

  #newAgent(state: AgentState): SimulatedAgent {
    const { plan } = this
    const { answers, enrollSecret, endpoints, lines, sleeper, statistics, tables, transport, url } =
      this.#surroundings
    const { hasMessages } = dialectOf(plan.version)
    return new SimulatedAgent({
      url,
      endpoints,
      enrollSecret,
      state,
      transport,
      platform: plan.platform,
      seed: plan.machineSeed,
      version: plan.version,
      hostIdentifier: plan.hostIdentifier,
      flags: { logger_tls_compress: String(plan.isGzip), logger_tls_period: '10' },
      counters: statistics.counters,
      createEngine: tables.createEngine,
      sleep: sleeper.sleep,
      now: () => Date.now() + plan.clockSkewMs,
      onRequest: (request) => statistics.request(request),
      onEvent: (event) => this.#onEvent(event),
      onBatch: (stage, batch) => {
        lines.note(stage, batch, plan.machine)
        if (stage === 'acknowledged') statistics.upload(plan.index, 'log', true)
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
    const { profile, statistics } = this.#surroundings
    if (event.kind === 'enrolled' && !this.#hasEnrolled) {
      this.#hasEnrolled = true
      statistics.enrolled += 1
    }
    if (event.kind === 'call-failed') {
      if (this.#awake?.signal.aborted) return
      statistics.failed(event.endpoint, event.reason)
      if (event.endpoint === 'log' || event.endpoint === 'write')
        statistics.upload(this.plan.index, event.endpoint, false)
    }
    if (event.kind === 'query-answered') this.#sql.set(event.id, event.sql)
    if (event.kind === 'query-started' && this.#dice.hits(profile.crashChance)) this.#crash()
  }

  // What osqueryd has on disk at this moment goes on; the running query and the answers before it are lost.
  #crash(): void {
    if (!this.#awake || this.#awake.signal.aborted) return
    this.#surroundings.statistics.killed += 1
    this.#atCrash = this.#agent.exportState()
    this.#awake.abort()
  }
}
