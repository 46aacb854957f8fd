/** Names of scheduled queries that are the server's own (built-in.ts). Pure. */

import { BUILT_IN_PREFIX } from './built-in.ts'
import { packsOf } from './query-rules.ts'
import type { Finding } from './report.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'
import { pointerOf } from '../lib/json-pointer.ts'

/**
 * What stands under the server's prefix in a document, or in a layer's: in the schedule, and in packs, because those of
 * a pack called main have the same names in log lines.
 */
export function reservedNames({ schedule, packs }: JsonObject): Finding[] {
  return [
    ...namesIn(schedule).map((name) => ['schedule', name]),
    ...packsOf(packs).flatMap(([path, , { queries }]) =>
      namesIn(queries).map((name) => ['packs', ...path, 'queries', name]),
    ),
  ].map((path) => ({
    pointer: pointerOf(path),
    detail: `names that begin with ${BUILT_IN_PREFIX} are the server's own`,
  }))
}

function namesIn(queries: unknown): string[] {
  return isObject(queries) ? Object.keys(queries).filter((name) => name.startsWith(BUILT_IN_PREFIX)) : []
}
