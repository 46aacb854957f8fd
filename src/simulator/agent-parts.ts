/** Puts the parts of an agent together. The parts know nothing of each other beyond what is handed to them here. */
import { setTimeout as sleepFor } from 'node:timers/promises'
import type { Result } from '../lib/result.ts'
import type { AgentEvent, AgentOptions } from './agent-options.ts'
import type { Identity } from './agent-state.ts'
import { createIdentity, newState } from './agent-state.ts'
import { Carver } from './carver.ts'
import { Configuration } from './configuration.ts'
import type { Counters } from './counters.ts'
import { newCounters } from './counters.ts'
import { Decorators } from './decorators.ts'
import type { Dialect } from './dialect.ts'
import { dialectOf } from './dialect.ts'
import { DistributedRunner } from './distributed-runner.ts'
import { endpointsFor } from './endpoints.ts'
import { PLATFORM_MASK } from './host.ts'
import type { LogLine } from './log-buffer.ts'
import { LogBuffer } from './log-buffer.ts'
import { LogSender } from './log-sender.ts'
import { Scheduler } from './scheduler.ts'
import { Session } from './session.ts'
import { DEFAULT_FLAGS, booleanFlag, numberFlag } from './settings.ts'
import type { CreateEngine, SqlAnswerer } from './sql-engine.ts'
import { SqlEngine } from './sql-engine.ts'
import type { ResultRow, TableContext } from './sql-types.ts'
import type { Severity } from './status-lines.ts'
import { statusLine } from './status-lines.ts'
import { hostDetails, tablesOf } from './tables.ts'
import type { Sender } from './transport.ts'
import { Transport } from './transport.ts'

const DEFAULT_VERSION = '5.23.1'
const DEFAULT_TIMEOUT_MS = 16_000

/** Everything that an agent consists of. */
export interface AgentParts {
  readonly identity: Identity
  readonly version: string
  readonly dialect: Dialect
  readonly counters: Counters
  readonly transport: Sender
  readonly session: Session
  readonly configuration: Configuration
  readonly engine: SqlAnswerer
  readonly decorators: Decorators
  readonly scheduler: Scheduler
  readonly buffer: LogBuffer
  readonly sender: LogSender
  readonly distributed: DistributedRunner
  readonly carver: Carver
  readonly now: () => number
  readonly sleep: (waitMs: number, signal?: AbortSignal) => Promise<void>
  readonly onEvent: (event: AgentEvent) => void
  /** Runs SQL over the tables; a carve that it asks for is scheduled. */
  readonly runSql: (sql: string) => Result<ResultRow[], string>
  /** Buffers a status line, unless flags say that this severity is not shipped. */
  readonly logStatus: (severity: Severity, filename: string, line: number, message: string) => void
  /** Buffers a line. */
  readonly bufferLine: (line: LogLine) => void
}

/** Makes the parts of one agent. */
export function createParts(options: AgentOptions): AgentParts {
  const state = options.state ?? newState()
  const identity = createIdentity(options, state)
  const version = options.version ?? DEFAULT_VERSION
  const dialect = dialectOf(version)
  const now = options.now ?? Date.now
  const sleep = options.sleep ?? sleepUntilAborted
  const startedAtMs = now()
  const counters = options.counters ?? newCounters()
  const transport = options.transport ?? newTransport(options)
  const configuration = new Configuration({ ...DEFAULT_FLAGS, ...options.flags }, dialect)
  const buffer = new LogBuffer(state.lines)
  const flags = () => configuration.flags
  const onEvent = (event: AgentEvent) => options.onEvent?.(event)

  const tableContext = (sql: string): TableContext => ({
    host: identity.host,
    version,
    instanceId: identity.instanceId,
    pid: identity.pid,
    startedAtMs,
    nowMs: now(),
    configHash: configuration.configHash,
    schedule: scheduler.rows(now()),
    flags: flags(),
    sql,
    carveRows: () => carver.rowsFor(sql),
  })
  const createEngine: CreateEngine = options.createEngine ?? ((...parts) => new SqlEngine(...parts))
  const engine = createEngine(tablesOf(identity.host.platform, dialect), tableContext, (paths) =>
    carver.ask(paths),
  )
  const runSql = (sql: string) => {
    const result = engine.query(sql)
    carver.settle(result.ok)
    return result
  }
  const decorators = new Decorators((sql) => {
    const result = runSql(sql)
    return (result.ok && result.value[0]) || {}
  })
  const bufferLine = (line: LogLine) => {
    counters.lines.produced += 1
    buffer.add(line, Math.floor(now() / 1000))
  }
  const logStatus = (severity: Severity, filename: string, line: number, message: string) => {
    const decorations = decorators.current(flags())
    const source = { severity, filename, line, message }
    const agent = { hostIdentifier: identity.hostIdentifier, version, timeMs: now(), dialect }
    const text = statusLine(source, agent, decorations, flags())
    if (text !== undefined) bufferLine({ kind: 'status', text })
  }

  const session = new Session({
    url: options.url.replace(/\/$/, ''),
    endpoints: options.endpoints ?? endpointsFor('canonical'),
    version,
    authorizationHeader: options.authorizationHeader ?? dialect.hasAuthorizationHeader,
    dialect,
    nodeKey: booleanFlag(flags(), 'enroll_always') ? '' : state.nodeKey,
    transport,
    counters,
    flags,
    enrollBody: () =>
      JSON.stringify({
        enroll_secret: options.enrollSecret.trim(),
        host_identifier: identity.hostIdentifier,
        platform_type: PLATFORM_MASK[identity.host.platform],
        host_details: hostDetails(tableContext('')),
      }),
    sleep,
    onEvent,
    onRequest: (request) => options.onRequest?.(request),
  })
  const scheduler = new Scheduler({
    choice: identity.host.choice,
    firstRun: options.firstRun ?? 'at-once',
    runSql,
    remembered: state.remembered,
    denylist: state.scheduleDenylist ?? { executing: '', until: {} },
    nowMs: startedAtMs,
    onStart: (query) => options.onScheduledQuery?.(query),
    onError: ({ name }, message) => {
      logStatus(2, 'scheduler.cpp', 128, `Error executing scheduled query ${name}: ${message}`)
      onEvent({ kind: 'scheduled-query-failed', name, message })
    },
  })
  const sender = new LogSender({
    session,
    buffer,
    counters,
    flags,
    now,
    keptLines: options.keptLines ?? 0,
    hasBackoff: dialect.hasLogBackoff,
    onEvent,
    onBatch: (stage, batch) => options.onBatch?.(stage, batch),
    onPurged: (lines) => onEvent({ kind: 'lines-purged', lines }),
    onOversized: () => logStatus(1, 'tls_logger.cpp', 140, 'Line exceeds TLS logger max'),
  })
  const distributed = new DistributedRunner({
    session,
    counters,
    flags,
    runSql,
    now,
    queue: state.queue,
    accelerateUntilMs: state.accelerateUntilMs,
    denylisted: state.denylisted ?? {},
    dialect,
    onEvent,
    onAnswers: (stage, answers) => options.onAnswers?.(stage, answers),
    onError: (message) => logStatus(2, 'distributed.cpp', 238, message),
  })
  const carver = new Carver({
    session,
    counters,
    now,
    blockBytes: () => numberFlag(flags(), 'carver_block_size'),
    isCompressed: () => booleanFlag(flags(), 'carver_compression'),
    readFile: options.readFile,
    lastQueryId: () => distributed.lastId,
    carves: state.carves,
    dialect,
    onEvent,
  })
  return {
    identity,
    version,
    dialect,
    counters,
    transport,
    session,
    configuration,
    engine,
    decorators,
    scheduler,
    buffer,
    sender,
    distributed,
    carver,
    now,
    sleep,
    onEvent,
    runSql,
    logStatus,
    bufferLine,
  }
}

function newTransport(options: AgentOptions): Transport {
  return new Transport({
    ...(options.ca !== undefined && { ca: options.ca }),
    timeoutMs: options.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS,
    keepAlive: options.keepAlive ?? false,
    transparentResend: options.transparentResend ?? true,
  })
}

async function sleepUntilAborted(waitMs: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(waitMs, undefined, { signal })
}
