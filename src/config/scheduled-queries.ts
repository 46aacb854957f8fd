/** The scheduled queries of a document, with what decides where they run and how often. Pure. */

import type { PlatformFamily } from '../fleet/platform.ts'
import { scheduledNamesOf } from './scheduled-names.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

export interface ScheduledQuery {
  /** The name in its log lines. */
  name: string
  path: readonly string[]
  sql: string
  intervalS: number
  isSnapshot: boolean
  /** Texts of the query and of its pack that say on which platforms; none: on all. */
  platforms: readonly string[]
  /** The share of hosts that run it, by `shard` (spec 3.2). */
  share: number
}

/** osquery's `schedule_default_interval`. */
const DEFAULT_INTERVAL_S = 3_600
const EVERYWHERE = /any|all/
/** What osquery looks for in a platform's text (spec 3.2). */
const PLATFORM_WORDS: Partial<Record<PlatformFamily, RegExp>> = {
  linux: /linux|ubuntu|centos|posix/,
  darwin: /darwin|posix/,
  windows: /windows/,
  freebsd: /freebsd/,
}

/** Of two with the same name agents take the first, so do we. Parts of a pack that a document lacks are left out. */
export function scheduledQueriesOf(document: JsonObject): ScheduledQuery[] {
  const byName = new Map<string, ScheduledQuery>()
  for (const { full, path } of scheduledNamesOf(document)) {
    const query = valueAt(document, path)
    if (!isObject(query) || typeof query['query'] !== 'string' || byName.has(full)) continue
    const pack = path[0] === 'packs' ? valueAt(document, path.slice(0, -2)) : null
    const parts = isObject(pack) ? [pack, query] : [query]
    byName.set(full, {
      name: full,
      path,
      sql: query['query'],
      intervalS: Number(query['interval'] ?? DEFAULT_INTERVAL_S),
      isSnapshot: isTrue(query['snapshot']),
      platforms: parts.flatMap(({ platform }) =>
        typeof platform === 'string' && platform !== '' ? [platform] : [],
      ),
      share: Math.min(...parts.map(({ shard }) => shareOf(shard))),
    })
  }
  return [...byName.values()]
}

/** Whether nodes of a platform run it. Of a node that has not told its platform it is taken for granted. */
export function runsOn({ platforms }: Pick<ScheduledQuery, 'platforms'>, family: PlatformFamily): boolean {
  const words = PLATFORM_WORDS[family]
  return words === undefined || platforms.every((text) => EVERYWHERE.test(text) || words.test(text))
}

function valueAt(document: JsonObject, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, step) => (isObject(value) ? value[step] : undefined), document)
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true' || value === 't' || (typeof value === 'number' && value !== 0)
}

/** 0 and none: no restriction. */
function shareOf(shard: unknown): number {
  const percent = Number(shard ?? 0)
  return percent >= 1 && percent <= 100 ? percent / 100 : 1
}
