/** What snapshots are compiled from: one D1 batch, so that what is read belongs together. */

import type { Bytes } from '../lib/bytes.ts'

export interface EnvironmentRows {
  environment: {
    id: string
    name: string
    revision: number
    minimumIssuedAtS: number
    accelerateShare: number
    /** JSON: days by type (logs/retention.ts). */
    retention: string
  }
  configuration: { version: number; document: string }
  queries: {
    number: number
    id: string
    kind: 'query' | 'carve'
    sql: string
    shards: number
    expiresAtMs: number
    /** 0 where its results are not to become log lines. */
    logResults: number
    chunks: { chunk: number; bits: Bytes }[]
  }[]
  revokedOrdinals: number[]
  /** Ordinals ever given out. */
  nodeCount: number
}

export interface DirectoryRows {
  revision: number
  environments: { id: string; name: string }[]
  secrets: { hash: string; environmentId: string }[]
}

const ENVIRONMENT = `SELECT id, name, revision, minimum_issued_at_s AS minimumIssuedAtS,
  accelerate_share AS accelerateShare, retention FROM environments WHERE id = ?1`
const CONFIGURATION = `SELECT version, document FROM configurations WHERE environment_id = ?1
  ORDER BY version DESC LIMIT 1`
const OPEN_QUERIES = `SELECT number, id, kind, sql, shards, expires_at AS expiresAtMs,
  log_results AS logResults FROM queries
  WHERE environment_id = ?1 AND status = 'open' AND erased_at IS NULL ORDER BY number`
const OPEN_TARGETS = `SELECT number, chunk, bits FROM query_targets WHERE environment_id = ?1 AND number IN
  (SELECT number FROM queries WHERE environment_id = ?1 AND status = 'open' AND erased_at IS NULL)`
const REVOKED = `SELECT ordinal FROM nodes WHERE environment_id = ?1 AND deleted_at IS NOT NULL`
const NODE_COUNT = `SELECT MAX(ordinal) AS highest FROM nodes WHERE environment_id = ?1`

type QueryRow = Omit<EnvironmentRows['queries'][number], 'chunks'>

/** Everything of one environment, or null where there is no such environment. */
export async function readEnvironmentRows(
  db: D1Database,
  environmentId: string,
): Promise<EnvironmentRows | null> {
  const statements = [ENVIRONMENT, CONFIGURATION, OPEN_QUERIES, OPEN_TARGETS, REVOKED, NODE_COUNT]
  const results = await db.batch(statements.map((sql) => db.prepare(sql).bind(environmentId)))
  const [environment] = rowsOf<EnvironmentRows['environment']>(results[0])
  const [configuration] = rowsOf<EnvironmentRows['configuration']>(results[1])
  if (environment === undefined || configuration === undefined) return null
  const targets = Map.groupBy(
    rowsOf<{ number: number; chunk: number; bits: ArrayLike<number> }>(results[3]),
    ({ number }) => number,
  )
  return {
    environment,
    configuration,
    queries: rowsOf<QueryRow>(results[2]).map((query) => ({
      ...query,
      // D1 hands BLOBs out as arrays of numbers.
      chunks: (targets.get(query.number) ?? []).map(({ chunk, bits }) => ({
        chunk,
        bits: Uint8Array.from(bits),
      })),
    })),
    revokedOrdinals: rowsOf<{ ordinal: number }>(results[4]).map(({ ordinal }) => ordinal),
    nodeCount: (rowsOf<{ highest: number | null }>(results[5])[0]?.highest ?? -1) + 1,
  }
}

/** What the whole deployment shares. */
export async function readDirectoryRows(db: D1Database): Promise<DirectoryRows> {
  const results = await db.batch([
    db.prepare('SELECT revision FROM deployment WHERE id = 1'),
    db.prepare('SELECT id, name FROM environments ORDER BY id'),
    db.prepare('SELECT secret_hash AS hash, environment_id AS environmentId FROM enroll_secrets ORDER BY id'),
  ])
  return {
    revision: rowsOf<{ revision: number }>(results[0])[0]?.revision ?? 0,
    environments: rowsOf(results[1]),
    secrets: rowsOf(results[2]),
  }
}

function rowsOf<Row>(result: D1Result | undefined): Row[] {
  return (result?.results ?? []) as Row[]
}
