import type { CarveRecord, ReadCarvedFile } from './carve.ts'
import type { Counters } from './counters.ts'
import type { QueryAnswer } from './distributed.ts'
import type { EndpointName, Endpoints } from './endpoints.ts'
import type { HostIdentifierKind, Platform } from './host.ts'
import type { LineKind, LogBatch, LogLine } from './log-buffer.ts'
import type { RememberedResult } from './result-lines.ts'
import type { ScheduleDenylist } from './scheduler.ts'
import type { Flags } from './settings.ts'
import type { CreateEngine } from './sql-engine.ts'
import type { Sender } from './transport.ts'

/** How to make a simulated agent. Only `url` and `enrollSecret` are required. */
export interface AgentOptions {
  /** Base of all endpoints, `https://host:port` or `http://…`, without a trailing slash. */
  readonly url: string
  readonly enrollSecret: string
  /** PEM of the certificate to trust; the system's roots if absent. */
  readonly ca?: string
  /** Default `linux` (Ubuntu). */
  readonly platform?: Platform
  /** Whatever the machine is made up from: equal seeds are equal machines. Default `1`. */
  readonly seed?: string
  /** Default: the canonical layout, see endpoints.ts. */
  readonly endpoints?: Endpoints
  /** osquery's version, in User-Agent and tables; the wire follows it (dialect.ts). Default `5.23.1`. */
  readonly version?: string
  /** Send `Authorization: NodeKey`. Default: as the version does. */
  readonly authorizationHeader?: boolean
  /** Default `uuid`. */
  readonly hostIdentifier?: HostIdentifierKind
  /** Text for the kind `specified`. */
  readonly specifiedIdentifier?: string
  /** Flags over the defaults of settings.ts, as a flagfile would. */
  readonly flags?: Flags
  /** What an earlier life exported: the agent goes on with the same identity, key and waiting lines. */
  readonly state?: AgentState
  /** Shared by many agents instead of one of its own; the caller closes it. */
  readonly transport?: Sender
  /** Reuse connections; osqueryd does not. Default false. */
  readonly keepAlive?: boolean
  /** Default 16,000, as in osqueryd. */
  readonly requestTimeoutMs?: number
  /** Send a request whose connection broke once more at once, as osqueryd does. Default true. */
  readonly transparentResend?: boolean
  /** Waits between tries and polls; tests inject one that returns at once. Must reject when the signal aborts. */
  readonly sleep?: (waitMs: number, signal?: AbortSignal) => Promise<void>
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number
  /** Told of everything worth a line on the screen. */
  readonly onEvent?: (event: AgentEvent) => void
  /** Told of every request when it is over. */
  readonly onRequest?: (request: RequestReport) => void
  /** Told of the lines of each log POST, before it is sent and when it was acknowledged. */
  readonly onBatch?: (stage: 'sent' | 'acknowledged', batch: LogBatch) => void
  /** Told of the answers of each distributed write, before it is sent and when it was accepted; by id. */
  readonly onAnswers?: (stage: 'sent' | 'accepted', answers: ReadonlyMap<string, QueryAnswer>) => void
  /** Told of each scheduled query right before it runs. */
  readonly onScheduledQuery?: (query: { readonly name: string; readonly sql: string }) => void
  /** Counted into, shared by many agents, instead of counters of its own. */
  readonly counters?: Counters
  /** Makes what answers SQL; default: an {@link SqlEngine} of its own. */
  readonly createEngine?: CreateEngine
  /** How many of the lines last sent and last acknowledged to keep for comparison. Default 0. */
  readonly keptLines?: number
  /** False frees the SQLite database after each round of queries: for thousands of agents. Default true. */
  readonly keepDatabaseOpen?: boolean
  /** When a query that is new in the schedule first runs; osqueryd waits for its interval. Default `at-once`. */
  readonly firstRun?: 'at-once' | 'after-interval'
  /** How often `run` looks for scheduled carves; osqueryd: each whole minute. Default 60,000. */
  readonly carveCheckIntervalMs?: number
  /** What the carver finds under a path; default: the real file there. Undefined: no such file. */
  readonly readFile?: ReadCarvedFile
  /** Of the simulated process. Default: a random one. */
  readonly pid?: number
}

/** What survives a restart, as osqueryd's database would keep it. Plain JSON. */
export interface AgentState {
  readonly format: 1
  readonly uuid: string
  readonly instanceId: string
  readonly nodeKey: string
  readonly lines: readonly LogLine[]
  readonly remembered: Readonly<Record<string, RememberedResult>>
  /** Distributed queries accepted but not started. */
  readonly queue: Readonly<Record<string, string>>
  readonly accelerateUntilMs: number
  /** SQL of distributed queries that were running, and when they were started. */
  readonly denylisted?: Readonly<Record<string, number>>
  /** Scheduled queries that were running when an earlier life ended. */
  readonly scheduleDenylist?: ScheduleDenylist
  /** Carves of every status; only SCHEDULED ones are picked up after a restart. */
  readonly carves: readonly CarveRecord[]
}

/** Why a call failed: no reply, one that is no success, `node_invalid`, or one that would crash osqueryd. */
export type CallFailureCause = 'no-reply' | 'refused' | 'node-invalid' | 'crash'

/** Something that happened to an agent. */
export type AgentEvent =
  | { readonly kind: 'enrolled' }
  | { readonly kind: 'config'; readonly queries: number; readonly isChanged: boolean }
  | {
      readonly kind: 'call-failed'
      readonly endpoint: EndpointName
      readonly reason: string
      readonly cause: CallFailureCause
    }
  | { readonly kind: 'lines-purged'; readonly lines: number }
  | { readonly kind: 'lines-acknowledged'; readonly lineKind: LineKind; readonly lines: number }
  | { readonly kind: 'scheduled-query-failed'; readonly name: string; readonly message: string }
  | { readonly kind: 'query-started'; readonly id: string; readonly sql: string }
  | {
      readonly kind: 'query-answered'
      readonly id: string
      readonly sql: string
      readonly rows: number
      readonly message: string
    }
  | { readonly kind: 'read-problem'; readonly reason: string }
  | { readonly kind: 'answers-accepted'; readonly answers: number }
  | { readonly kind: 'carve-packed' | 'carved'; readonly carve: Readonly<CarveRecord> }

/** One request, transparent resend included. */
export interface RequestReport {
  readonly endpoint: EndpointName
  /** 0 if no reply came. */
  readonly status: number
  readonly durationMs: number
  readonly sentBytes: number
  readonly receivedBytes: number
}
