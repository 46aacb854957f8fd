/** The configuration that an agent holds, and how it takes on a new one (specification 3.1). */
import { createHash } from 'node:crypto'
import type { Dialect } from './dialect.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import type { ScheduledQuery, ScheduleSubject } from './schedule.ts'
import { readSchedule } from './schedule.ts'
import type { Flags } from './settings.ts'
import { applyOptions } from './settings.ts'

/** What taking on a document led to. */
export interface Applied {
  readonly isChanged: boolean
  /** Things that osqueryd would write a warning or error about. */
  readonly problems: readonly string[]
}

/** Document, flags and schedule of one agent. */
export class Configuration {
  document: JsonObject = {}
  schedule: readonly ScheduledQuery[] = []
  flags: Flags
  /** SHA-1 of the compact text, "" before the first document. */
  textHash = ''

  readonly #dialect: Pick<Dialect, 'maxConfigBytes' | 'maxConfigDepth'>

  constructor(flags: Flags, dialect: Pick<Dialect, 'maxConfigBytes' | 'maxConfigDepth'>) {
    this.flags = flags
    this.#dialect = dialect
  }

  /** `osquery_info.config_hash`: the SHA-1 over the hashes of all sources, of which there is one. */
  get configHash(): string {
    return this.textHash === '' ? '' : sha1(this.textHash)
  }

  /** Takes on a document. One that breaks the limits leaves the agent without a schedule, until another one comes. */
  apply(document: JsonObject, subject: ScheduleSubject): Applied {
    const text = JSON.stringify(document)
    const hash = sha1(text)
    if (hash === this.textHash) return { isChanged: false, problems: [] }
    this.textHash = hash
    this.schedule = []
    this.document = {}
    if (Buffer.byteLength(text) > this.#dialect.maxConfigBytes)
      return { isChanged: true, problems: ['Configuration is larger than 1 MiB'] }
    if (depthOf(document) > this.#dialect.maxConfigDepth)
      return { isChanged: true, problems: ['Configuration is nested too deeply'] }
    this.document = document
    // The schedule is built before the options of the same document apply.
    this.schedule = readSchedule(document, subject, this.flags)
    const { flags, ignored } = applyOptions(this.flags, document)
    this.flags = flags
    return {
      isChanged: true,
      problems: ignored.map((name) => `The CLI only flag --${name} set via config file will be ignored`),
    }
  }

  /** The views that the document defines. */
  get views(): Record<string, string> {
    const views = isJsonObject(this.document.views) ? this.document.views : {}
    return Object.fromEntries(
      Object.entries(views).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    )
  }
}

function depthOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}
