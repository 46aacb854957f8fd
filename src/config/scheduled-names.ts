/** The names that log lines carry, and what becomes ambiguous with them (spec 3.3). Warnings only. */

import { packsOf } from './query-rules.ts'
import type { Place } from './report.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

const DEFAULT_DELIMITER = '_'

/** A scheduled query: where it stands, its pack (null for the schedule), its own name, the name in its lines. */
export interface ScheduledName {
  path: readonly string[]
  pack: string | null
  bare: string
  full: string
}

/** Every scheduled query of a document. Two may have the same full name. */
export function scheduledNamesOf(document: JsonObject): ScheduledName[] {
  return [...scheduleNames(document), ...packNames(document, packDelimiterOf(document))]
}

/** Warns of names that collide and of packs whose names cannot be taken apart again. */
export function checkScheduledNames(document: JsonObject, root: Place): void {
  const delimiter = packDelimiterOf(document)
  const byFull = new Map<string, ScheduledName>()
  const byBare = new Map<string, ScheduledName>()
  const placeOf = ({ path }: ScheduledName) => path.reduce((at, step) => at.at(step), root)
  for (const name of scheduledNamesOf(document)) {
    const same = byFull.get(name.full)
    const alike = byBare.get(name.bare)
    if (same !== undefined)
      placeOf(name).warn(`gets the same name in logs as ${placeOf(same).pointer}: ${name.full}`)
    else if (alike !== undefined) placeOf(name).warn(`has the name of ${placeOf(alike).pointer}`)
    if (same === undefined) byFull.set(name.full, name)
    if (alike === undefined) byBare.set(name.bare, name)
  }
  const ambiguous = packsOf(document['packs']).some(
    ([, pack, { queries }]) =>
      pack !== 'main' &&
      isObject(queries) &&
      (pack.includes(delimiter) || Object.keys(queries).some((query) => query.includes(delimiter))),
  )
  if (ambiguous) {
    const way =
      delimiter === '/' ? 'another options.pack_delimiter tells' : 'options.pack_delimiter "/" would tell'
    root.at('packs').warn(`names hold the pack delimiter "${delimiter}": ${way} them apart`)
  }
}

function packDelimiterOf(document: JsonObject): string {
  const { options } = document
  const delimiter = isObject(options) ? options['pack_delimiter'] : undefined
  return typeof delimiter === 'string' && delimiter !== '' ? delimiter : DEFAULT_DELIMITER
}

function scheduleNames({ schedule }: JsonObject): ScheduledName[] {
  if (!isObject(schedule)) return []
  return Object.keys(schedule).map((bare) => ({ path: ['schedule', bare], pack: null, bare, full: bare }))
}

function packNames({ packs }: JsonObject, delimiter: string): ScheduledName[] {
  return packsOf(packs).flatMap(([path, name, { queries }]) => {
    if (!isObject(queries)) return []
    // A pack called main is treated as the schedule.
    const pack = name === 'main' ? null : name
    return Object.keys(queries).map((bare) => ({
      path: ['packs', ...path, 'queries', bare],
      pack,
      bare,
      full: pack === null ? bare : ['pack', pack, bare].join(delimiter),
    }))
  })
}
