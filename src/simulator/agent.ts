/**
 * A simulated osqueryd: the whole remote API over HTTP(S), with SQL answered by SQLite over made-up tables.
 * It judges the server exactly as osqueryd does. Any number may live in one process: nothing here is global.
 */
import type { Result } from '../lib/result.ts'
import { runLoops } from './agent-loops.ts'
import type { AgentOptions, AgentState } from './agent-options.ts'
import type { AgentParts } from './agent-parts.ts'
import { createParts } from './agent-parts.ts'
import type { Identity } from './agent-state.ts'
import type { CarveRecord } from './carve.ts'
import type { Counters } from './counters.ts'
import type { PollOutcome } from './distributed-runner.ts'
import type { JsonObject } from './json.ts'
import type { LogLine } from './log-buffer.ts'
import type { FlushedBatch } from './log-sender.ts'
import { snapshotLines } from './result-lines.ts'
import type { Flags } from './settings.ts'
import type { ResultRow } from './sql-types.ts'
import type { Severity } from './status-lines.ts'

/** osqueryd looks for scheduled carves at each whole minute. */
export const CARVE_CHECK_INTERVAL_MS = 60_000

/** One osqueryd. Use the methods one at a time, or {@link SimulatedAgent.run} for the timed loops. */
export class SimulatedAgent {
  readonly #options: AgentOptions
  readonly #parts: AgentParts

  constructor(options: AgentOptions) {
    this.#options = options
    this.#parts = createParts(options)
    this.logStatus(0, 'init.cpp', 413, `osquery initialized [version=${this.#parts.version}]`)
    const killer = options.state?.scheduleDenylist?.executing ?? ''
    if (killer !== '') this.logStatus(1, 'config.cpp', 401, `Scheduled query may have failed: ${killer}`)
  }

  /** Who the agent is: machine, instance id, host identifier. */
  get identity(): Identity {
    return this.#parts.identity
  }

  /** Everything counted so far, live. */
  get counters(): Counters {
    return this.#parts.counters
  }

  /** The key that the server gave, "" if there is none. */
  get nodeKey(): string {
    return this.#parts.session.nodeKey
  }

  /** The configuration in force, `{}` before the first. */
  get config(): JsonObject {
    return this.#parts.configuration.document
  }

  /** Names of the queries that this agent schedules. */
  get scheduledNames(): readonly string[] {
    return this.#parts.configuration.schedule.map((query) => query.name)
  }

  /** Flags after options from the configuration, as text. */
  get flags(): Flags {
    return this.#parts.configuration.flags
  }

  /** Carves so far with status and the archive's SHA-256. */
  get carves(): readonly Readonly<CarveRecord>[] {
    return this.#parts.carver.records
  }

  /** Lines that wait for an acknowledgement. */
  get bufferedLines(): readonly LogLine[] {
    return this.#parts.buffer.lines
  }

  /** The last `keptLines` lines sent, each as often as it was. */
  get sentLines(): readonly LogLine[] {
    return this.#parts.sender.sentLines
  }

  /** The last `keptLines` lines that the server acknowledged. */
  get acknowledgedLines(): readonly LogLine[] {
    return this.#parts.sender.acknowledgedLines
  }

  /** Ids of distributed queries whose answers were not accepted yet. */
  get unacknowledgedAnswers(): readonly string[] {
    return this.#parts.distributed.unacknowledged
  }

  /** Asks for a new key, with osqueryd's tries and waits. Gives the key or the last reason. */
  enroll(): Promise<Result<string, string>> {
    return this.#parts.session.enroll()
  }

  /** Fetches and takes on the configuration. Gives the reply, or why the old configuration stays. */
  async fetchConfig(): Promise<Result<JsonObject, string>> {
    const reply = await this.#parts.session.call('config', (key) => JSON.stringify({ node_key: key }), {
      attemptsFlag: 'config_tls_max_attempts',
    })
    if (!reply.ok) return reply
    const { hostname, platform } = this.identity.host
    const before = this.#parts.configuration.schedule.length
    const applied = this.#parts.configuration.apply(reply.value, {
      hostname,
      platform,
      version: this.#parts.version,
    })
    if (applied.isChanged) {
      this.#parts.engine.setViews(this.#parts.configuration.views)
      this.#parts.scheduler.reschedule(this.#parts.configuration.schedule, this.#parts.now(), this.flags)
      this.#parts.decorators.reload(this.config)
    }
    for (const problem of applied.problems) this.logStatus(1, 'config.cpp', 741, problem)
    const queries = this.#parts.configuration.schedule.length
    if (before > 0 && queries === 0) this.counters.wipedSchedules += 1
    this.#parts.onEvent({ kind: 'config', queries, isChanged: applied.isChanged })
    return reply
  }

  /** Runs the scheduled queries that are due (all of them if forced) and buffers their lines; gives the number. */
  runSchedule(options: { readonly force?: boolean } = {}): number {
    const nowMs = this.#parts.now()
    this.#parts.decorators.refresh(nowMs)
    const { hostIdentifier } = this.identity
    const decorations = this.#parts.decorators.current(this.flags)
    const { dialect } = this.#parts
    const moment = { nowMs, hostIdentifier, decorations, dialect, flags: this.flags }
    const lines = this.#parts.scheduler.run(moment, options.force ?? false)
    for (const text of lines) this.#parts.bufferLine({ kind: 'result', text })
    this.#freeDatabase()
    return lines.length
  }

  /** Adds a status line, unless flags say that this severity is not shipped. */
  logStatus(severity: Severity, filename: string, line: number, message: string): void {
    this.#parts.logStatus(severity, filename, line, message)
  }

  /** Adds a snapshot line as if a scheduled query of that name had given the rows. */
  logSnapshot(name: string, rows: readonly ResultRow[]): void {
    const { decorators, now } = this.#parts
    const { hostIdentifier } = this.identity
    const execution = {
      name,
      hostIdentifier,
      timeMs: now(),
      epoch: 0,
      decorations: decorators.current(this.flags),
      dialect: this.#parts.dialect,
    }
    for (const text of snapshotLines(execution, rows, this.flags))
      this.#parts.bufferLine({ kind: 'result', text })
  }

  /** One period of the logger: at most two POSTs. Lines leave the buffer only when acknowledged. */
  flushLogs(options: { readonly respectBackoff?: boolean } = {}): Promise<FlushedBatch[]> {
    return this.#parts.sender.flush(options.respectBackoff ?? false)
  }

  /** One distributed cycle: read, run what was accepted, write all answers that wait. */
  async pollDistributed(): Promise<PollOutcome> {
    const outcome = await this.#parts.distributed.poll()
    this.#freeDatabase()
    return outcome
  }

  /** Sends any distributed write, for probing a server: `node_key` is added, nothing is remembered. */
  sendWrite(payload: JsonObject): Promise<Result<JsonObject, string>> {
    return this.#parts.distributed.send(payload)
  }

  /** Schedules a carve that no query asked for. */
  scheduleCarve(paths: readonly string[]): Readonly<CarveRecord> {
    return this.#parts.carver.schedule(paths)
  }

  /** Uploads the scheduled carves one after the other; gives them as they ended. */
  carvePending(): Promise<Readonly<CarveRecord>[]> {
    return this.#parts.carver.uploadAll()
  }

  /** One pass: enroll if there is no key, config, due queries, logs, one distributed cycle, carves. */
  async runOnce(): Promise<void> {
    if (this.nodeKey === '') await this.enroll()
    await this.fetchConfig()
    this.runSchedule()
    await this.flushLogs()
    await this.pollDistributed()
    await this.carvePending()
  }

  /** The timed loops of osqueryd side by side, until the signal aborts, or osqueryd would have ended for want of a key. */
  async run(signal: AbortSignal): Promise<void> {
    this.#parts.session.stop = signal
    await runLoops(this, {
      signal,
      sleep: this.#parts.sleep,
      now: this.#parts.now,
      carveCheckIntervalMs: this.#options.carveCheckIntervalMs ?? CARVE_CHECK_INTERVAL_MS,
      msUntilDue: () => this.#parts.scheduler.msUntilDue(this.#parts.now()),
      accelerateUntilMs: () => this.#parts.distributed.accelerateUntilMs,
    })
    this.#parts.session.stop = undefined
  }

  /** Runs SQL over this agent's tables; a carve that it asks for is scheduled. */
  runSql(sql: string): Result<ResultRow[], string> {
    return this.#parts.runSql(sql)
  }

  /** What a later agent needs to go on as this one. */
  exportState(): AgentState {
    return {
      format: 1,
      uuid: this.identity.host.uuid,
      instanceId: this.identity.instanceId,
      nodeKey: this.nodeKey,
      lines: this.#parts.buffer.lines,
      remembered: this.#parts.scheduler.remembered,
      queue: this.#parts.distributed.queue,
      denylisted: this.#parts.distributed.denylisted,
      scheduleDenylist: this.#parts.scheduler.denylist,
      accelerateUntilMs: this.#parts.distributed.accelerateUntilMs,
      carves: this.carves.map((carve) => ({ ...carve })),
    }
  }

  /** Frees database and connections; a shared transport stays open. */
  close(): void {
    this.#parts.engine.close()
    if (!this.#options.transport) this.#parts.transport.close()
  }

  #freeDatabase(): void {
    if (this.#options.keepDatabaseOpen === false) this.#parts.engine.close()
  }
}
