/** Categories and groups that are named in one place and defined in another (spec 3.6). Warnings only. */

import type { Place } from './report.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

/** Warns of names that nothing defines: agents say nothing, and watch nothing. */
export function checkCategoryNames(document: JsonObject, root: Place): void {
  const watched = new Set([...namesOf(document['file_paths']), ...namesOf(document['file_paths_query'])])
  for (const [index, category] of textsOf(document['file_accesses']).entries())
    if (!watched.has(category))
      root.at('file_accesses').at(index).warn('is no category of file_paths or file_paths_query')
  const { yara } = document
  if (!isObject(yara)) return
  const groups = new Set(namesOf(yara['signatures']))
  for (const category of namesOf(yara['file_paths'])) {
    const place = root.at('yara').at('file_paths').at(category)
    if (!watched.has(category)) place.warn('is no category of file_paths or file_paths_query')
    for (const [index, group] of textsOf((yara['file_paths'] as JsonObject)[category]).entries())
      if (!groups.has(group)) place.at(index).warn('is no group of yara.signatures')
  }
}

function namesOf(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : []
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
