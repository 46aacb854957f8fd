/** Targets by what nodes were seen with: `ips`, `macs`, `users`. By the index of node_traces, whatever the fleet's size. */

import { sql, type SQL } from 'drizzle-orm'
import type { ListedTarget } from '../fleet/targeting.ts'
import { addressRange } from '../lib/ip-address.ts'
import type { ControlDb } from './control.ts'
import { NOT_ERASED } from './trace-lookup.ts'

const KINDS = { ips: ['public', 'interface'], macs: ['mac'], users: ['user'] } as const
export type SeenTarget = keyof typeof KINDS

export function isSeenTarget(key: ListedTarget): key is SeenTarget {
  return Object.hasOwn(KINDS, key)
}

/** The ordinals of nodes that have one of these values now: for `ordinal IN …`. */
export function ordinalsSeenWithAny(environmentId: string, key: SeenTarget, values: readonly string[]): SQL {
  return sql`(SELECT t.ordinal FROM json_each(${rangesText(key, values)}) AS r CROSS JOIN node_traces AS t
    WHERE ${seenNow(environmentId, key)})`
}

/** Those of the values that some living node has now. */
export async function valuesSeen(
  db: ControlDb,
  environmentId: string,
  key: SeenTarget,
  values: readonly string[],
): Promise<Set<string>> {
  const rows = await db.all<{ value: string }>(sql`SELECT r.value ->> 0 AS value
    FROM json_each(${rangesText(key, values)}) AS r
    WHERE EXISTS (SELECT 1 FROM node_traces AS t WHERE ${seenNow(environmentId, key)})`)
  return new Set(rows.map(({ value }) => value))
}

/** A trace `t` that is of a range `r` and has not ended: those of nodes that were deleted have. */
function seenNow(environmentId: string, key: SeenTarget): SQL {
  const kinds = sql.join(
    KINDS[key].map((kind) => sql`${kind}`),
    sql`, `,
  )
  return sql`t.environment_id = ${environmentId} AND t.kind IN (${kinds}) AND t.to_at IS NULL
    AND t.value BETWEEN r.value ->> 1 AND r.value ->> 2 AND ${sql.raw(NOT_ERASED)}`
}

/** JSON: for each value its first and last key. */
function rangesText(key: SeenTarget, values: readonly string[]): string {
  return JSON.stringify(
    values.map((value) => {
      const range = key === 'ips' ? addressRange(value) : null
      return [value, range?.first ?? value, range?.last ?? value]
    }),
  )
}
