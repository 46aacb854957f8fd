/** Reads the schedule and packs out of a configuration (specification 3.2, 3.3). Pure. */
import { createHash } from 'node:crypto'
import type { Platform } from './host.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import type { Flags } from './settings.ts'
import { numberFlag } from './settings.ts'
import { compareVersions } from './sql-functions.ts'

/** A query that this agent runs by itself. */
export interface ScheduledQuery {
  /** The name that log lines carry, pack prefix included. */
  readonly name: string
  readonly sql: string
  readonly intervalSeconds: number
  readonly isSnapshot: boolean
  /** False: rows that went away are not reported. */
  readonly reportsRemoved: boolean
  /** False: it runs even where it was running when osqueryd died. */
  readonly mayBeDenylisted: boolean
  /** Discovery queries of its pack: all must give a row, else the query does not run. */
  readonly discovery: readonly string[]
}

/** What decides whether a query is for this agent. */
export interface ScheduleSubject {
  readonly platform: Platform
  readonly version: string
  readonly hostname: string
}

/** osqueryd drops queries with a longer interval. */
const MAX_INTERVAL_SECONDS = 604_800
/** Names that would collide with osqueryd's own database keys, refused since 5.19.0. */
const RESERVED_NAME = /^(query\.|cache\.|config_views\.)|(epoch|counter)$/

/** The queries of a configuration that this agent schedules, in order; of two with one name the first wins. */
export function readSchedule(config: JsonObject, subject: ScheduleSubject, flags: Flags): ScheduledQuery[] {
  const delimiter = flags.pack_delimiter ?? '_'
  const found = readQueries(config.schedule, '', [], subject, flags)
  for (const [packName, pack] of packEntries(config.packs)) {
    if (!isForSubject(pack, subject)) continue
    const prefix = packName === 'main' ? '' : `pack${delimiter}${packName}${delimiter}`
    found.push(...readQueries(pack.queries, prefix, texts(pack.discovery), subject, flags))
  }
  const byName = new Map<string, ScheduledQuery>()
  for (const query of found) if (!byName.has(query.name)) byName.set(query.name, query)
  return [...byName.values()]
}

function packEntries(packs: Json | undefined): [string, JsonObject][] {
  if (!isJsonObject(packs)) return []
  return Object.entries(packs).flatMap(([name, pack]): [string, JsonObject][] => {
    // A text would have to be fetched, which the TLS plugin cannot.
    if (!isJsonObject(pack)) return []
    return name === '*' ? packEntries(pack) : [[name, pack]]
  })
}

function readQueries(
  queries: Json | undefined,
  prefix: string,
  discovery: readonly string[],
  subject: ScheduleSubject,
  flags: Flags,
): ScheduledQuery[] {
  if (!isJsonObject(queries)) return []
  return Object.entries(queries).flatMap(([name, entry]): ScheduledQuery[] => {
    if (!isJsonObject(entry) || typeof entry.query !== 'string' || entry.query === '') return []
    const intervalSeconds = integer(entry.interval) ?? numberFlag(flags, 'schedule_default_interval')
    if (intervalSeconds < 1 || intervalSeconds > MAX_INTERVAL_SECONDS) return []
    if (RESERVED_NAME.test(name) || !isForSubject(entry, subject)) return []
    return [
      {
        name: prefix + name,
        sql: entry.query,
        intervalSeconds,
        isSnapshot: truth(entry.snapshot, false),
        reportsRemoved: truth(entry.removed, true),
        mayBeDenylisted: truth(entry.denylist ?? entry.blacklist, true),
        discovery,
      },
    ]
  })
}

function isForSubject(entry: JsonObject, subject: ScheduleSubject): boolean {
  const { platform, version } = entry
  if (typeof platform === 'string' && !matchesPlatform(platform, subject.platform)) return false
  if (typeof version === 'string' && compareVersions(subject.version, version) < 0) return false
  const shard = integer(entry.shard) ?? 0
  const firstByte = createHash('sha1').update(subject.hostname).digest()[0] ?? 0
  return shard === 0 || shard >= Math.floor((firstByte * 100) / 255)
}

function matchesPlatform(wanted: string, platform: Platform): boolean {
  if (wanted === '' || /any|all/.test(wanted) || wanted.includes(platform)) return true
  if (platform === 'linux' && /ubuntu|centos/.test(wanted)) return true
  return platform !== 'windows' && wanted.includes('posix')
}

function integer(value: Json | undefined): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  const number = Math.trunc(Number(value))
  return Number.isNaN(number) ? undefined : number
}

function truth(value: Json | undefined, fallback: boolean): boolean {
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return value === 'true' || value === 't'
  return typeof value === 'number' ? value !== 0 : fallback
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
