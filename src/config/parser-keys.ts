/** The keys that osquery's configuration parsers read, at the top of a document and inside packs (spec 3.1, 3.4-3.6). */

import { COMMAND_LINE_FLAGS, KNOWN_OPTIONS } from './flags.ts'
import { isFlagText } from '../fleet/flagfile.ts'
import type { Place } from './report.ts'
import {
  anInteger,
  anObjectOrArray,
  aText,
  aTextNotBlank,
  isObject,
  listOf,
  mapOf,
  objectOf,
  type Check,
} from './shapes.ts'

const MAX_INT32 = 2 ** 31 - 1

const options: Check = (value, place) => {
  if (!isObject(value)) return place.refuse('must be an object')
  for (const [name, each] of Object.entries(value)) checkOption(name, each, place.at(name))
}

function checkOption(name: string, value: unknown, place: Place): void {
  if (COMMAND_LINE_FLAGS.has(name)) return checkFlag(value, place)
  if (!KNOWN_OPTIONS.has(name) && !name.startsWith('custom_'))
    place.warn('is no option that is known here: agents that do not know it skip it')
  if (value === '') place.warn('agents skip an option whose value is empty')
  if (typeof value === 'string' || typeof value === 'boolean') return
  // Agents make a text of objects and lists.
  if (typeof value === 'object' && value !== null) return
  if (typeof value !== 'number')
    return place.refuse('must be a text, a boolean, an integer, an object or a list')
  if (!place.isInteger(value) || value < -MAX_INT32 - 1)
    return place.refuse('must be written as a text: agents misread a number like this')
  if (value > MAX_INT32) place.warn('is safer as a text: it does not fit into 32 bits')
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
    objectOf({ query: aTextNotBlank, path: aTextNotBlank, columns: listOf(aTextNotBlank), platform: aText }, [
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
