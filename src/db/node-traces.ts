/**
 * What nodes were seen with (addresses, MACs, users), as D1 keeps it: a row from when to when. Prepared SQL: the log
 * consumer and the Presence objects write it, in batches.
 */

export type TraceKind = 'public' | 'interface' | 'mac' | 'user'

/** All that a node has of some kinds by now. What it is not in any more ends; what is new begins. */
export interface TraceState {
  ordinal: number
  /** The kinds that this is all of. */
  kinds: readonly TraceKind[]
  values: readonly { kind: TraceKind; value: string; fromMs: number }[]
  /** When that was so: what ended, ended then. */
  atMs: number
  /** Where it is known better until when it had what it has not any more. */
  ended?: readonly { kind: TraceKind; value: string; toMs: number }[]
  /** `inventory_at` of the node's row as it was read: nothing is written where it is another by now. */
  ifInventoryAt?: string
}

/** The newest erasure that concerns a node `s.ordinal`: what was seen until then does not come back. */
const ERASED_UNTIL = `COALESCE((SELECT MAX(until_at) FROM trace_erasures
  WHERE environment_id = ?1 AND ordinal IN (-1, s.ordinal)), -1)`

const STATES = `WITH s AS (SELECT value ->> 'o' AS ordinal, value ->> 'a' AS at, value -> 'k' AS kinds, value -> 'v' AS held,
    value -> 'e' AS ended, value ->> 'i' AS inventory_at
  FROM json_each(?2))`

/** A node that was deleted has no new traces. */
const IS_THERE = `EXISTS (SELECT 1 FROM nodes AS n WHERE n.environment_id = ?1 AND n.ordinal = s.ordinal
  AND n.deleted_at IS NULL AND (s.inventory_at IS NULL OR n.inventory_at = s.inventory_at))`

// Without statistics SQLite takes json_each for one row, and the first column of an index for nearly unique. So what comes
// first and which index it is are said here: else each of thousands of nodes would be a walk through all traces.
const END = `${STATES}, x AS MATERIALIZED (
  SELECT o.environment_id, o.kind, o.value, o.ordinal, o.from_at,
    MAX(o.from_at, COALESCE((SELECT e.value ->> 2 FROM json_each(s.ended) AS e
      WHERE e.value ->> 0 = o.kind AND e.value ->> 1 = o.value), s.at)) AS to_at
  FROM s CROSS JOIN node_traces AS o INDEXED BY node_traces_by_node
  WHERE o.environment_id = ?1 AND o.ordinal = s.ordinal AND o.to_at IS NULL
    AND o.kind IN (SELECT value FROM json_each(s.kinds))
    AND NOT EXISTS (SELECT 1 FROM json_each(s.held) AS v WHERE v.value ->> 0 = o.kind AND v.value ->> 1 = o.value)
    AND ${IS_THERE}
)
UPDATE node_traces AS t SET to_at = x.to_at FROM x
WHERE t.environment_id = x.environment_id AND t.kind = x.kind AND t.value = x.value AND t.ordinal = x.ordinal
  AND t.from_at = x.from_at`

const BEGIN = `${STATES}
INSERT INTO node_traces (environment_id, kind, value, ordinal, from_at)
SELECT ?1, v.value ->> 0, v.value ->> 1, s.ordinal, v.value ->> 2 FROM s, json_each(s.held) AS v
WHERE v.value ->> 2 > ${ERASED_UNTIL} AND ${IS_THERE}
  AND NOT EXISTS (SELECT 1 FROM node_traces AS t WHERE t.environment_id = ?1 AND t.kind = v.value ->> 0
    AND t.value = v.value ->> 1 AND t.ordinal = s.ordinal AND t.to_at IS NULL AND t.from_at > ${ERASED_UNTIL})
ON CONFLICT (environment_id, kind, value, ordinal, from_at) DO UPDATE SET to_at = NULL`

/** Two statements for any number of nodes of one environment; for a batch. Doing them twice changes nothing more. */
export function traceStatements(
  db: D1Database,
  environmentId: string,
  states: readonly TraceState[],
): D1PreparedStatement[] {
  if (states.length === 0) return []
  const text = JSON.stringify(
    states.map(({ ordinal, kinds, values, atMs, ended = [], ifInventoryAt }) => ({
      o: ordinal,
      a: atMs,
      k: kinds,
      v: values.map(({ kind, value, fromMs }) => [kind, value, fromMs]),
      e: ended.map(({ kind, value, toMs }) => [kind, value, toMs]),
      i: ifInventoryAt,
    })),
  )
  return [END, BEGIN].map((sql) => db.prepare(sql).bind(environmentId, text))
}
