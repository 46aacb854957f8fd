/** How osquery's releases differ on the wire (specification, section 10). Pure. */
import type { Json } from './json.ts'
import { compareVersions } from './sql-functions.ts'

/** What a release does; each member names the release that changed it. */
export interface Dialect {
  /** JSON text of a body. Before 3.2.0 every scalar is a string, and an empty array or object is `""`. */
  readonly stringify: (value: unknown) => string
  /** Before 3.2.0 a reply's `node_invalid` may be a text. */
  readonly readsTexts: boolean
  /** `accelerate` must be an integer since 3.2.3, and a text in 3.2.0 to 3.2.2; before, it may be either. */
  readonly acceleratesBy: 'integer' | 'text' | 'either'
  /** The flag with the number of enroll tries: its own since 3.4.0. */
  readonly enrollAttemptsFlag: 'tls_enroll_max_attempts' | 'config_tls_max_attempts'
  /** One enroll at a time since 4.8.0; before, each thread enrolled by itself. */
  readonly enrollsOnce: boolean
  /** 0 tries mean no end, and waits have an upper limit, since 4.9.0. */
  readonly hasEndlessEnroll: boolean
  /** Largest configuration: 1 MiB since 4.3.0, with 32 levels at most. */
  readonly maxConfigBytes: number
  readonly maxConfigDepth: number
  /** Replies may be compressed since 5.21.0, if a flag says so. */
  readonly hasGzipReplies: boolean
  /** A first differential result without rows is a line of its own since 5.8.0. */
  readonly logsEmptyFirstRun: boolean
  /** Result lines say `numerics` since 4.1.1. */
  readonly hasNumerics: boolean
  /** Distributed writes have `messages` since 4.4.0. */
  readonly hasMessages: boolean
  /** A query that killed its process is not run again: since 5.5.0. */
  readonly hasDenylist: boolean
  /** Distributed writes have `stats`, and discovery is judged id by id: since 5.8.0. */
  readonly hasStats: boolean
  readonly hasFixedDiscovery: boolean
  /** Status lines hold numbers since 5.10.0. */
  readonly hasNumericStatus: boolean
  /** Failed logs are sent again later and later since 5.12.0; before, every period. */
  readonly hasLogBackoff: boolean
  /** Differential rows keep their UTF-8 since 5.22.0. */
  readonly keepsUtf8: boolean
  /** Tries per carve request: since 5.22.0 three, and then the carve fails. Before, a failed block is left out. */
  readonly carveAttempts: number
  readonly stopsAtFailedBlock: boolean
  /** Each carve has a request id of its own, shown in `carves`, since 4.7.0. Before: that of the query that ran last. */
  readonly hasCarveRequestIds: boolean
  /** Archives hold full paths since 5.5.0, base names before; and times since 5.23.0. */
  readonly keepsCarvePaths: boolean
  readonly keepsCarveTimes: boolean
  /** `Authorization: NodeKey` since 5.23.0. */
  readonly hasAuthorizationHeader: boolean
}

/** The dialect of a release. */
export function dialectOf(version: string): Dialect {
  const since = (release: string) => compareVersions(version, release) >= 0
  return {
    stringify: since('3.2.0') ? JSON.stringify : (value) => JSON.stringify(textual(value as Json)),
    readsTexts: !since('3.2.0'),
    acceleratesBy: since('3.2.3') ? 'integer' : since('3.2.0') ? 'text' : 'either',
    enrollAttemptsFlag: since('3.4.0') ? 'tls_enroll_max_attempts' : 'config_tls_max_attempts',
    enrollsOnce: since('4.8.0'),
    hasEndlessEnroll: since('4.9.0'),
    maxConfigBytes: since('4.3.0') ? 1024 * 1024 : Infinity,
    maxConfigDepth: since('4.3.0') ? 32 : Infinity,
    hasGzipReplies: since('5.21.0'),
    logsEmptyFirstRun: since('5.8.0'),
    hasNumerics: since('4.1.1'),
    hasMessages: since('4.4.0'),
    hasDenylist: since('5.5.0'),
    hasStats: since('5.8.0'),
    hasFixedDiscovery: since('5.8.0'),
    hasNumericStatus: since('5.10.0'),
    hasLogBackoff: since('5.12.0'),
    keepsUtf8: since('5.22.0'),
    carveAttempts: since('5.22.0') ? 3 : 1,
    stopsAtFailedBlock: since('5.22.0'),
    hasCarveRequestIds: since('4.7.0'),
    keepsCarvePaths: since('5.5.0'),
    keepsCarveTimes: since('5.23.0'),
    hasAuthorizationHeader: since('5.23.0'),
  }
}

/** The dialect of the newest release. */
export const NEWEST_DIALECT: Dialect = dialectOf('5.23.1')

/** What Boost's property tree makes of a value: it knows only texts and named or unnamed children. */
function textual(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value === null ? '' : String(value)
  const entries = Object.entries(value)
  if (entries.length === 0) return ''
  if (Array.isArray(value)) return value.map(textual)
  return Object.fromEntries(entries.map(([key, member]) => [key, textual(member)]))
}
