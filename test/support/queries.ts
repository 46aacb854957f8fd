/** Opens queries straight in D1, for tests of what agents and shards make of them. */

import { NodeSet } from '../../src/fleet/node-set.ts'
import type { TestServer } from './harness.ts'

export interface OpenedQuery {
  id: string
  number: number
  shards: number
}

/** The UUID of the seeded environment. */
export async function defaultEnvironmentId(server: TestServer): Promise<string> {
  const row = await server.env.DB.prepare("SELECT id FROM environments WHERE name = 'default'").first<{
    id: string
  }>()
  if (row === null) throw new Error('the environment is seeded')
  return row.id
}

/** Opens a query for these ordinals and waits until the snapshot has it. */
export async function openQuery(
  server: TestServer,
  sql: string,
  ordinals: readonly number[],
  options: { kind?: 'query' | 'carve'; expiresInMs?: number; logResults?: boolean; shards?: number } = {},
): Promise<OpenedQuery> {
  const environmentId = await defaultEnvironmentId(server)
  const { shards = 4 } = options
  const id = crypto.randomUUID()
  const nowMs = Date.now()
  const { DB } = server.env
  const number = 'SELECT next_query_number - 1 FROM environments WHERE id = ?'
  const [raised] = await DB.batch<{ revision: number; number: number }>([
    DB.prepare(
      `UPDATE environments SET next_query_number = next_query_number + 1, revision = revision + 1 WHERE id = ?
       RETURNING revision, next_query_number - 1 AS number`,
    ).bind(environmentId),
    DB.prepare(
      `INSERT INTO queries (id, environment_id, number, kind, sql, targets, shards, targeted, status, created_at,
       expires_at, created_by, log_results) VALUES (?, ?, (${number}), ?, ?, '{}', ?, ?, 'open', ?, ?, 'test', ?)`,
    ).bind(
      id,
      environmentId,
      environmentId,
      options.kind ?? 'query',
      sql,
      shards,
      ordinals.length,
      nowMs,
      nowMs + (options.expiresInMs ?? 3_600_000),
      options.logResults === false ? 0 : 1,
    ),
    ...NodeSet.of(ordinals)
      .chunks()
      .map(({ chunk, bits }) =>
        DB.prepare(
          `INSERT INTO query_targets (environment_id, number, chunk, bits) VALUES (?, (${number}), ?, ?)`,
        ).bind(environmentId, environmentId, chunk, bits),
      ),
  ])
  const row = raised?.results[0]
  if (row === undefined) throw new Error('the environment is there')
  await server.env.ENVIRONMENT.getByName(environmentId).refresh(row.revision, false)
  return { id, number: row.number, shards }
}

/** The ordinal of a node by hostname. */
export async function ordinalOf(server: TestServer, hostname: string): Promise<number> {
  const row = await server.env.DB.prepare('SELECT ordinal FROM nodes WHERE hostname = ?')
    .bind(hostname)
    .first<{ ordinal: number }>()
  if (row === null) throw new Error(`no node ${hostname}`)
  return row.ordinal
}
