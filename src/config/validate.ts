/**
 * Whether agents can live with a configuration document. What they would break on, or would silently take for
 * something else, is refused with its place; what is odd is warned of and stored. Pure.
 */

import { utf8 } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { checkCategoryNames } from './category-names.ts'
import { compactJson } from './compact.ts'
import { readDocumentFacts } from './document-facts.ts'
import { PARSER_KEYS } from './parser-keys.ts'
import { checkPacks, checkQueries } from './query-rules.ts'
import { Place, Report, type Finding } from './report.ts'
import { checkScheduledNames } from './scheduled-names.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'
import type { Check } from './shapes.ts'

/** Every release from 4.3.0 to 5.23.1 refuses more, and is left without a schedule (spec 3.1). */
export const MAX_COMPACT_BYTES = 1_024 * 1_024
/** The same for objects and lists that nest deeper. */
const MAX_DEPTH = 32

export type Rejection = { kind: 'not-json' } | { kind: 'invalid'; errors: Finding[] }

export interface CheckedDocument {
  /** What is stored and served. */
  compact: string
  bytes: number
  warnings: Finding[]
}

/** Half of a character can only be written as an escape: bytes that are no UTF-8 come no further than the request. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/

const TOP_LEVEL: Readonly<Record<string, Check>> = {
  ...PARSER_KEYS,
  schedule: checkQueries,
  packs: checkPacks,
  error: (_value, place) => place.refuse('agents take a document with this key for a failure'),
  node_invalid: (value, place) => {
    if (value === true) place.refuse('agents would throw their node key away')
    else place.warn('does not belong into a configuration')
  },
}

/** Checks an operator's text. */
export function checkConfiguration(text: string): Result<CheckedDocument, Rejection> {
  const parsed = parse(text)
  if (!parsed.ok) return parsed
  const compact = compactJson(text)
  const bytes = utf8(compact).length
  const report = new Report(readDocumentFacts(text))
  const root = new Place(report)
  if (bytes >= MAX_COMPACT_BYTES) root.refuse(`is ${bytes} bytes; agents take less than ${MAX_COMPACT_BYTES}`)
  if (report.facts.depth > MAX_DEPTH) root.refuse(`nests deeper than ${MAX_DEPTH} levels`)
  for (const pointer of report.facts.duplicates) new Place(report, pointer).refuse('stands here twice')
  for (const pointer of report.facts.hugeNumbers)
    new Place(report, pointer).refuse(
      'is a number beyond what agents can read: they would refuse the whole document',
    )
  if (report.facts.depth <= MAX_DEPTH && SURROGATE_ESCAPE.test(compact)) checkTexts(parsed.value, root)
  if (isObject(parsed.value)) checkMembers(parsed.value, root)
  else root.refuse('must be an object')
  const { errors, warnings } = report
  return errors.length > 0 ? fail({ kind: 'invalid', errors }) : ok({ compact, bytes, warnings })
}

function checkMembers(document: JsonObject, root: Place): void {
  for (const [key, value] of Object.entries(document)) {
    if (Object.hasOwn(TOP_LEVEL, key)) TOP_LEVEL[key]?.(value, root.at(key))
    else root.at(key).warn('is not known; agents ignore it')
  }
  const watched = Object.hasOwn(document, 'file_paths') || Object.hasOwn(document, 'file_paths_query')
  if (Object.hasOwn(document, 'exclude_paths') && !watched)
    root.at('exclude_paths').warn('has no effect without file_paths or file_paths_query')
  checkScheduledNames(document, root)
  checkCategoryNames(document, root)
}

/** osquery's parser (RapidJSON) refuses a whole document for half of a surrogate pair, in a name or a value. */
function checkTexts(value: unknown, place: Place): void {
  const detail = 'holds half of a surrogate pair: agents would refuse the whole document'
  if (typeof value === 'string' && !value.isWellFormed()) place.refuse(detail)
  if (typeof value !== 'object' || value === null) return
  for (const [name, each] of Object.entries(value)) {
    if (!name.isWellFormed()) place.at(name).refuse(detail)
    checkTexts(each, place.at(name))
  }
}

function parse(text: string): Result<unknown, Rejection> {
  try {
    return ok(JSON.parse(text) as unknown)
  } catch {
    // JSON.parse's only failure is "not JSON"; its message quotes the document, so it is not shown.
    return fail({ kind: 'not-json' })
  }
}
