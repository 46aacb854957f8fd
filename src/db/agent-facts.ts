/** What Presence objects tell D1 of agents: the version that their requests name, and where they come from. */

import { traceStatements } from './node-traces.ts'

/** News of one node; times in seconds. */
export interface AgentNews {
  ordinal: number
  tidings: {
    osqueryVersion: string | null
    /** All that it is at by now; null: no news. */
    addresses: readonly { key: string; fromS: number }[] | null
    left: readonly { key: string; untilS: number }[]
  }
}

// In this order, see node-traces.ts.
const SET_VERSIONS = `WITH x AS MATERIALIZED (
  SELECT n.id, j.value ->> 1 AS version FROM json_each(?2) AS j CROSS JOIN nodes AS n
  WHERE n.environment_id = ?1 AND n.ordinal = j.value ->> 0 AND n.deleted_at IS NULL
    AND n.osquery_version <> j.value ->> 1
)
UPDATE nodes SET osquery_version = x.version FROM x WHERE nodes.id = x.id`

/** Three statements in one batch, for any number of nodes. Rows that say the same already are not written. */
export async function tellAgentFacts(
  db: D1Database,
  environmentId: string,
  news: readonly AgentNews[],
  nowMs: number,
): Promise<void> {
  const versions = news.flatMap(({ ordinal, tidings: { osqueryVersion } }) =>
    osqueryVersion === null ? [] : [[ordinal, osqueryVersion]],
  )
  const states = news.flatMap(({ ordinal, tidings: { addresses, left } }) =>
    addresses === null
      ? []
      : {
          ordinal,
          kinds: ['public' as const],
          values: addresses.map(({ key, fromS }) => ({
            kind: 'public' as const,
            value: key,
            fromMs: fromS * 1_000,
          })),
          ended: left.map(({ key, untilS }) => ({
            kind: 'public' as const,
            value: key,
            toMs: untilS * 1_000,
          })),
          atMs: nowMs,
        },
  )
  const statements = [
    ...(versions.length === 0
      ? []
      : [db.prepare(SET_VERSIONS).bind(environmentId, JSON.stringify(versions))]),
    ...traceStatements(db, environmentId, states),
  ]
  if (statements.length > 0) await db.batch(statements)
}
