/** Scheduled queries and packs (spec 3.2, 3.3). */

import { MAX_INTERVAL_S, PARSER_KEYS, TOP_LEVEL_ONLY } from './parser-keys.ts'
import type { Place } from './report.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'
import { aText, aTextNotBlank, listOf, type Check } from './shapes.ts'

/** Names that agents since 5.19.0 reject: their database keeps its own things under these (spec 3.2). */
const FORBIDDEN_NAME = /^(query\.|cache\.|config_views\.)|(epoch|counter)$/

/** A text that says on which platforms: osquery looks for these inside it (spec 3.2). */
const KNOWN_PLATFORM = /any|all|linux|ubuntu|centos|posix|darwin|windows|freebsd|^null$|^$/

const aFlag: Check = (value, place) => {
  if (typeof value === 'boolean' || place.isInteger(value)) return
  if (typeof value !== 'string') return place.refuse('must be true or false')
  // Quirk 39 of the spec: any text but these two is false, "1" too.
  if (!['true', 't', 'false', 'f'].includes(value)) place.warn('agents take this text for false')
}

const aPlatform: Check = (value, place) => {
  aText(value, place)
  if (typeof value === 'string' && !KNOWN_PLATFORM.test(value)) place.warn('matches no platform')
}

/** A release and what a build adds to it; osquery compares the numbers. Empty and "null" stand for any. */
const VERSION = /^(\d+(\.\d+)*([-+~. ].*)?|null)?$/

const aVersion: Check = (value, place) => {
  aText(value, place)
  if (typeof value === 'string' && !VERSION.test(value))
    place.warn('is no version: agents compare its numbers')
}

function integerFrom(low: number, high: number): Check {
  return (value, place) => {
    const isDigits = typeof value === 'string' && /^\d{1,9}$/.test(value)
    const number = place.isInteger(value) ? value : isDigits ? Number(value) : Number.NaN
    if (!(number >= low && number <= high)) place.refuse(`must be an integer from ${low} to ${high}`)
  }
}

const aPriority: Check = (value, place) => {
  if (!place.isInteger(value)) place.warn('is not an integer; agents ignore it')
}

function ignored(): void {}

const QUERY_KEYS: Readonly<Record<string, Check>> = {
  query: aTextNotBlank,
  interval: integerFrom(1, MAX_INTERVAL_S),
  snapshot: aFlag,
  removed: aFlag,
  denylist: aFlag,
  blacklist: aFlag,
  platform: aPlatform,
  version: aVersion,
  shard: integerFrom(0, 100),
  startup_priority: aPriority,
  description: ignored,
  value: ignored,
}

const PACK_KEYS: Readonly<Record<string, Check>> = {
  queries: checkQueries,
  platform: aPlatform,
  version: aVersion,
  shard: integerFrom(0, 100),
  discovery: listOf(aTextNotBlank),
  oncall: ignored,
  description: ignored,
  name: ignored,
}

/** The value of `schedule`, and of `queries` in a pack. */
export function checkQueries(value: unknown, place: Place): void {
  if (!isObject(value)) return place.refuse('must be an object')
  for (const [name, query] of Object.entries(value)) {
    checkName(name, place.at(name))
    checkQuery(query, place.at(name))
  }
}

function checkName(name: string, place: Place): void {
  if (name.trim() === '') place.refuse('must have a name')
  if (FORBIDDEN_NAME.test(name))
    place.refuse('agents reject names that begin with query., cache., config_views. or end in epoch, counter')
  if (name.includes(':')) place.warn('a colon in a name upsets the list of denied queries that agents keep')
}

function checkQuery(query: unknown, place: Place): void {
  if (!isObject(query)) return place.refuse('must be an object')
  if (!Object.hasOwn(query, 'query')) place.refuse('must have query')
  for (const [key, value] of Object.entries(query)) {
    if (Object.hasOwn(QUERY_KEYS, key)) QUERY_KEYS[key]?.(value, place.at(key))
    else place.at(key).warn('is not known; agents ignore it')
  }
}

/** The value of `packs`. A pack called `*` holds packs (spec 3.3). */
export function checkPacks(value: unknown, place: Place): void {
  if (!isObject(value)) return place.refuse('must be an object')
  for (const [name, pack] of Object.entries(value)) {
    if (name.trim() === '') place.at(name).refuse('must have a name')
    if (name === '*' && isObject(pack)) checkPacks(pack, place.at(name))
    else checkPack(pack, place.at(name))
  }
}

function checkPack(pack: unknown, place: Place): void {
  if (typeof pack === 'string')
    return place.refuse('agents cannot fetch a pack over TLS: put its object here')
  if (!isObject(pack)) return place.refuse('must be an object')
  for (const [key, value] of Object.entries(pack)) checkPackMember(key, value, place.at(key))
}

function checkPackMember(key: string, value: unknown, place: Place): void {
  if (Object.hasOwn(PACK_KEYS, key)) return PACK_KEYS[key]?.(value, place)
  if (!Object.hasOwn(PARSER_KEYS, key)) return place.warn('is not known; agents ignore it')
  if (TOP_LEVEL_ONLY.has(key)) place.warn('belongs to the top of the document: the next update removes it')
  PARSER_KEYS[key]?.(value, place)
}

/** Packs of a document by name, those under `*` too. */
export function packsOf(packs: unknown): [pointer: readonly string[], name: string, pack: JsonObject][] {
  if (!isObject(packs)) return []
  return Object.entries(packs).flatMap(([name, pack]) => {
    if (!isObject(pack)) return []
    if (name !== '*') return [[[name], name, pack] as [string[], string, JsonObject]]
    return packsOf(pack).map(
      ([path, inner, value]) => [['*', ...path], inner, value] as [string[], string, JsonObject],
    )
  })
}
