/** The names that log lines carry, and what becomes ambiguous with them (spec 3.3). Warnings only. */

import { packsOf } from './query-rules.ts'
import type { Place } from './report.ts'
import { isObject, type JsonObject } from './shapes.ts'

const DEFAULT_DELIMITER = '_'

interface ScheduledName {
  place: Place
  bare: string
  full: string
}

/** Warns of names that collide and of packs whose names cannot be taken apart again. */
export function checkScheduledNames(document: JsonObject, root: Place): void {
  const delimiter = packDelimiterOf(document)
  const names = [...scheduleNames(document, root), ...packNames(document, root, delimiter)]
  const byFull = new Map<string, ScheduledName>()
  const byBare = new Map<string, ScheduledName>()
  for (const name of names) {
    const same = byFull.get(name.full)
    const alike = byBare.get(name.bare)
    if (same !== undefined)
      name.place.warn(`gets the same name in logs as ${same.place.pointer}: ${name.full}`)
    else if (alike !== undefined) name.place.warn(`has the name of ${alike.place.pointer}`)
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
    root
      .at('packs')
      .warn(
        `names hold the pack delimiter "${delimiter}": set options.pack_delimiter to "/" to tell them apart`,
      )
  }
}

function packDelimiterOf(document: JsonObject): string {
  const { options } = document
  const delimiter = isObject(options) ? options['pack_delimiter'] : undefined
  return typeof delimiter === 'string' && delimiter !== '' ? delimiter : DEFAULT_DELIMITER
}

function scheduleNames({ schedule }: JsonObject, root: Place): ScheduledName[] {
  if (!isObject(schedule)) return []
  return Object.keys(schedule).map((bare) => ({ place: root.at('schedule').at(bare), bare, full: bare }))
}

function packNames({ packs }: JsonObject, root: Place, delimiter: string): ScheduledName[] {
  return packsOf(packs).flatMap(([path, pack, { queries }]) => {
    if (!isObject(queries)) return []
    const place = path.reduce((at, step) => at.at(step), root.at('packs')).at('queries')
    return Object.keys(queries).map((bare) => ({
      place: place.at(bare),
      bare,
      // A pack called main is treated as the schedule.
      full: pack === 'main' ? bare : ['pack', pack, bare].join(delimiter),
    }))
  })
}
