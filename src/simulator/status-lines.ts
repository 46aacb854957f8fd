import type { Dialect } from './dialect.ts'
import { NEWEST_DIALECT } from './dialect.ts'
import { decorationFields } from './result-lines.ts'
import type { Flags } from './settings.ts'
import { booleanFlag, numberFlag } from './settings.ts'
import type { ResultRow } from './sql-types.ts'
import { calendarTime } from './tables-system.ts'

/** Severity of a status line, osquery's numbers: INFO, WARNING, ERROR. */
export type Severity = 0 | 1 | 2

/** What happened, and which line of osquery's source would say so. */
export interface StatusSource {
  readonly severity: Severity
  readonly filename: string
  readonly line: number
  readonly message: string
}

/** Who says it, and when. */
export interface StatusSpeaker {
  readonly hostIdentifier: string
  readonly version: string
  readonly timeMs: number
  /** Default: the newest release's. */
  readonly dialect?: Dialect
}

/** Text of a status line (specification 4.3); undefined if flags say that this severity is not shipped. */
export function statusLine(
  source: StatusSource,
  speaker: StatusSpeaker,
  decorations: ResultRow,
  flags: Flags,
): string | undefined {
  if (booleanFlag(flags, 'tls_disable_status_log')) return undefined
  if (source.severity < numberFlag(flags, 'logger_min_status')) return undefined
  const { hasNumericStatus, stringify } = speaker.dialect ?? NEWEST_DIALECT
  const number = (value: number) => (hasNumericStatus ? value : String(value))
  return stringify({
    hostIdentifier: speaker.hostIdentifier,
    calendarTime: calendarTime(speaker.timeMs),
    unixTime: number(Math.floor(speaker.timeMs / 1000)),
    severity: number(source.severity),
    filename: source.filename,
    line: number(source.line),
    message: source.message,
    version: speaker.version,
    ...decorationFields(decorations, flags),
  })
}
