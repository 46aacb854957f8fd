/** Opens live queries as the admin route does, many at once, straight in D1. */

import { NodeSet } from '../../src/fleet/node-set.ts'
import type { BenchServer } from './server.ts'

export interface OpenedQuery {
  number: number
  shards: number
}

const SHARDS = 4

/** Opens `count` queries for these nodes; they are in the snapshot when this returns. */
export async function openQueries(
  { env, environmentId }: BenchServer,
  ordinals: readonly number[],
  count: number,
  expiresInMs: number,
): Promise<OpenedQuery[]> {
  const nowMs = Date.now()
  const raised = await env.DB.prepare(
    `UPDATE environments SET next_query_number = next_query_number + ?2, revision = revision + 1 WHERE id = ?1
     RETURNING revision, next_query_number - ?2 AS first`,
  )
    .bind(environmentId, count)
    .first<{ revision: number; first: number }>()
  if (raised === null) throw new Error('the environment is there')
  const chunks = NodeSet.of(ordinals).chunks()
  const queries = Array.from({ length: count }, (_, i) => ({ number: raised.first + i, shards: SHARDS }))
  await env.DB.batch(
    queries.flatMap(({ number }) => [
      env.DB.prepare(
        `INSERT INTO queries (id, environment_id, number, kind, sql, targets, shards, targeted, status, created_at,
           expires_at, created_by)
         VALUES (?, ?, ?, 'query', 'SELECT name, version FROM os_version', '{}', ?, ?, 'open', ?, ?, 'bench')`,
      ).bind(crypto.randomUUID(), environmentId, number, SHARDS, ordinals.length, nowMs, nowMs + expiresInMs),
      ...chunks.map(({ chunk, bits }) =>
        env.DB.prepare(
          'INSERT INTO query_targets (environment_id, number, chunk, bits) VALUES (?, ?, ?, ?)',
        ).bind(environmentId, number, chunk, bits),
      ),
    ]),
  )
  await env.ENVIRONMENT.getByName(environmentId).refresh(raised.revision, false)
  return queries
}
