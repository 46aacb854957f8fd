/** The keys that osquery's configuration parsers read, at the top of a document and inside packs (spec 3.1, 3.4-3.6). */

import { COMMAND_LINE_FLAGS, KNOWN_OPTIONS } from './flags.ts'
import { isFlagText } from '../fleet/flagfile.ts'
import type { Place } from './report.ts'
import { isObject } from '../lib/json-value.ts'
import {
  anInteger,
  anObjectOrArray,
  aText,
  aTextNotBlank,
  listOf,
  mapOf,
  objectOf,
  type Check,
} from './shapes.ts'

const MAX_INT32 = 2 ** 31 - 1
/** Agents drop a query beyond 1 and this (spec 3.2). */
export const MAX_INTERVAL_S = 604_800

/**
 * Options that are seconds, and the most of them. With 0 an agent would never refresh again, or poll without a pause;
 * with a default interval that it drops, each query without an interval would be gone (spec 3.2, 3.4, 7).
 */
const LONGEST_SECONDS: ReadonlyMap<string, number> = new Map([
  ['config_tls_refresh', MAX_INT32],
  ['config_tls_accelerated_refresh', MAX_INT32],
  ['distributed_interval', MAX_INT32],
  ['logger_tls_period', MAX_INT32],
  ['schedule_default_interval', MAX_INTERVAL_S],
])

const options: Check = (value, place) => {
  if (!isObject(value)) return place.refuse('must be an object')
  for (const [name, each] of Object.entries(value)) checkOption(name, each, place.at(name))
}

function checkOption(name: string, value: unknown, place: Place): void {
  if (COMMAND_LINE_FLAGS.has(name)) return checkFlag(value, place)
  if (!KNOWN_OPTIONS.has(name) && !name.startsWith('custom_'))
    place.warn('is no option that is known here: agents that do not know it skip it')
  if (value === '') place.warn('agents skip an option whose value is empty')
  else if (LONGEST_SECONDS.has(name))
    return checkSeconds(value, LONGEST_SECONDS.get(name) ?? MAX_INT32, place)
  if (typeof value === 'string' || typeof value === 'boolean') return
  // Agents make a text of objects and lists.
  if (typeof value === 'object' && value !== null) return
  if (typeof value !== 'number')
    return place.refuse('must be a text, a boolean, an integer, an object or a list')
  if (!place.isInteger(value) || value < -MAX_INT32 - 1)
    return place.refuse('must be written as a text: agents misread a number like this')
  if (value > MAX_INT32) place.warn('is safer as a text: it does not fit into 32 bits')
}

/** A number, or a text of one. */
function checkSeconds(value: unknown, most: number, place: Place): void {
  const isDigits = typeof value === 'string' && /^\d{1,10}$/.test(value)
  const seconds = place.isInteger(value) ? value : isDigits ? Number(value) : Number.NaN
  if (!(seconds >= 1 && seconds <= most)) place.refuse(`must be whole seconds from 1 to ${most}`)
}

/** It is left out of the document (command-line-flags.ts); a line break in a flagfile would begin another flag. */
function checkFlag(value: unknown, place: Place): void {
  if (typeof value === 'string' && !isFlagText(value))
    return place.refuse('must not hold control characters: it is a line of the flagfile')
  const isScalar = typeof value === 'string' || typeof value === 'boolean' || place.isInteger(value)
  if (!isScalar) return place.refuse('must be a text, a boolean or an integer')
  place.warn('agents take this flag from the command line or flagfile only: it is kept for GET …/flagfile')
}

const decoratorIntervals: Check = (value, place) => {
  if (!isObject(value)) return place.refuse('must be an object')
  for (const [seconds, queries] of Object.entries(value)) {
    const isMultiple = /^\d{1,9}$/.test(seconds) && Number(seconds) > 0 && Number(seconds) % 60 === 0
    if (!isMultiple) place.at(seconds).refuse('must be named by seconds that are a multiple of 60')
    listOf(aTextNotBlank)(queries, place.at(seconds))
  }
}

/** `path` is a column of each of these tables already (spec 3.6). */
const aColumn: Check = (value, place) => {
  aTextNotBlank(value, place)
  if (typeof value === 'string' && value.toLowerCase() === 'path')
    place.warn('is a column of its own already: agents add it')
}

const categories = mapOf(listOf(aText))

/** Name of the key to the check of its value. */
export const PARSER_KEYS: Readonly<Record<string, Check>> = {
  options,
  decorators: objectOf({
    load: listOf(aTextNotBlank),
    always: listOf(aTextNotBlank),
    interval: decoratorIntervals,
  }),
  file_paths: categories,
  file_paths_query: categories,
  file_accesses: listOf(aText),
  exclude_paths: categories,
  views: mapOf(aTextNotBlank),
  auto_table_construction: mapOf(
    objectOf({ query: aTextNotBlank, path: aTextNotBlank, columns: listOf(aColumn), platform: aText }, [
      'query',
      'path',
      'columns',
    ]),
  ),
  events: objectOf({
    enable_subscribers: listOf(aText),
    disable_subscribers: listOf(aText),
    environment_variables: listOf(aText),
  }),
  yara: objectOf({ signatures: categories, file_paths: categories, signature_urls: listOf(aText) }),
  prometheus_targets: objectOf({ urls: listOf(aText), timeout: anInteger }),
  kafka_topics: anObjectOrArray,
  feature_vectors: anObjectOrArray,
  logger: anObjectOrArray,
}

/** Each update removes what it does not list, wherever that came from: these belong to the top level only (spec 3.1). */
export const TOP_LEVEL_ONLY: ReadonlySet<string> = new Set(['views', 'auto_table_construction'])
