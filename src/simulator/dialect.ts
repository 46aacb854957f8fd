/** How osquery's releases differ on the wire (specification, section 10). Pure. */
import type { Json } from './json.ts'
import { compareVersions } from './sql-functions.ts'

/** What a release does; each member names the release that changed it. */
export interface Dialect {
  /** JSON text of a body. Before 3.2.0 every scalar is a string, and an empty array or object is `""`. */
  readonly stringify: (value: unknown) => string
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
  /** `Authorization: NodeKey` since 5.23.0. */
  readonly hasAuthorizationHeader: boolean
}

/** The dialect of a release. */
export function dialectOf(version: string): Dialect {
  const since = (release: string) => compareVersions(version, release) >= 0
  return {
    stringify: since('3.2.0') ? JSON.stringify : (value) => JSON.stringify(textual(value as Json)),
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
