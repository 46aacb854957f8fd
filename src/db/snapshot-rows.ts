/** What snapshots are compiled from: one D1 batch, so that what is read belongs together. */

import type { Held } from '../fleet/held.ts'
import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { heldOfRow } from './held-options.ts'
import { STANDING_STATEMENTS, standingRowsOf, type StandingRows } from './standing-rows.ts'

export interface EnvironmentRows {
  environment: {
    id: string
    name: string
    revision: number
    minimumIssuedAtS: number
    accelerateShare: number
    /** JSON: days by type (logs/retention.ts). */
    retention: string
    /** JSON: what the server schedules by itself (config/built-in.ts). */
    builtIn: string
  }
  configuration: { version: number; document: string }
  /** Over that document, in order. */
  layers: LayerRow[]
  /** Scheduled queries that are left out, by the name in log lines. */
  pausedQueries: string[]
  /** What nodes may hold of versions before. */
  held: Held[]
  queries: {
    number: number
    id: string
    kind: 'query' | 'carve'
    sql: string
    shards: number
    expiresAtMs: number
    /** 0 where its results are not to become log lines. */
    logResults: number
    maxRowsPerNode?: number | null
    /** 1 where nodes that enroll later are asked too: it is not over when all have answered. */
    staysOpen?: number
    discovery: string | null
    chunks: { chunk: number; bits: Bytes }[]
  }[]
  revokedOrdinals: number[]
  /** Absent: nobody was revoked, blocked or approved. */
  standing?: StandingRows
  /** Ordinals ever given out. */
  nodeCount: number
}

export interface LayerRow {
  position: number
  name: string
  /** A platform family; or null, and then these are its nodes. */
  platform: string | null
  members: NodeSet
  document: string
}

const ENVIRONMENT = `SELECT id, name, revision, minimum_issued_at_s AS minimumIssuedAtS,
  accelerate_share AS accelerateShare, retention, built_in AS builtIn FROM environments WHERE id = ?1`
const CONFIGURATION = `SELECT version, document FROM configurations WHERE environment_id = ?1
  ORDER BY version DESC LIMIT 1`
const LATEST = `(SELECT MAX(version) FROM configurations WHERE environment_id = ?1)`
const LAYERS = `SELECT l.position, l.name, json_extract(l.match, '$.platform') AS platform, d.document
  FROM configuration_layers AS l JOIN configuration_documents AS d
    ON d.environment_id = l.environment_id AND d.sha256 = l.document_sha256
  WHERE l.environment_id = ?1 AND l.version = ${LATEST} ORDER BY l.position`
// Ordinals as lists of 32,768 at most, so that a million of them are no million rows.
const LAYER_TAGS = `SELECT l.position, json_group_array(n.ordinal) AS ordinals
  FROM configuration_layers AS l
  JOIN node_tags AS t ON t.environment_id = l.environment_id AND t.tag = json_extract(l.match, '$.tag')
  JOIN nodes AS n ON n.id = t.node_id AND n.deleted_at IS NULL
  WHERE l.environment_id = ?1 AND l.version = ${LATEST} GROUP BY l.position, n.ordinal / 32768`
const LAYER_SETS = `SELECT l.position, c.chunk, c.bits FROM configuration_layers AS l
  JOIN node_sets AS s ON s.environment_id = l.environment_id AND s.name = json_extract(l.match, '$.nodeSet')
  JOIN node_set_chunks AS c ON c.node_set_id = s.id
  WHERE l.environment_id = ?1 AND l.version = ${LATEST}`
const HELD = `SELECT pointer, platform FROM held_options WHERE environment_id = ?1 ORDER BY pointer, platform`
const PAUSED = `SELECT name FROM paused_queries WHERE environment_id = ?1 AND resumed_at IS NULL ORDER BY name`
const OPEN_QUERIES = `SELECT number, id, kind, sql, shards, expires_at AS expiresAtMs,
  log_results AS logResults, discovery, max_rows_per_node AS maxRowsPerNode,
  late_from IS NOT NULL AS staysOpen FROM queries
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
  const statements = [
    ENVIRONMENT,
    CONFIGURATION,
    OPEN_QUERIES,
    OPEN_TARGETS,
    REVOKED,
    NODE_COUNT,
    LAYERS,
    LAYER_TAGS,
    LAYER_SETS,
    HELD,
    PAUSED,
    ...STANDING_STATEMENTS,
  ]
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
    layers: layersOf(results[6], results[7], results[8]),
    pausedQueries: rowsOf<{ name: string }>(results[10]).map(({ name }) => name),
    held: rowsOf<{ pointer: string; platform: string }>(results[9]).map(heldOfRow),
    queries: rowsOf<QueryRow>(results[2]).map((query) => ({
      ...query,
      // D1 hands BLOBs out as arrays of numbers.
      chunks: (targets.get(query.number) ?? []).map(({ chunk, bits }) => ({
        chunk,
        bits: Uint8Array.from(bits),
      })),
    })),
    standing: standingRowsOf(results.slice(-STANDING_STATEMENTS.length)),
    revokedOrdinals: rowsOf<{ ordinal: number }>(results[4]).map(({ ordinal }) => ordinal),
    nodeCount: (rowsOf<{ highest: number | null }>(results[5])[0]?.highest ?? -1) + 1,
  }
}

function layersOf(
  layers: D1Result | undefined,
  tags: D1Result | undefined,
  sets: D1Result | undefined,
): LayerRow[] {
  const byTag = Map.groupBy(rowsOf<{ position: number; ordinals: string }>(tags), ({ position }) => position)
  const bySet = Map.groupBy(
    rowsOf<{ position: number; chunk: number; bits: ArrayLike<number> }>(sets),
    ({ position }) => position,
  )
  return rowsOf<Omit<LayerRow, 'members'>>(layers).map((layer) => {
    const members = NodeSet.ofChunks(
      (bySet.get(layer.position) ?? []).map(({ chunk, bits }) => ({ chunk, bits: Uint8Array.from(bits) })),
    )
    for (const { ordinals } of byTag.get(layer.position) ?? [])
      for (const ordinal of JSON.parse(ordinals) as number[]) members.add(ordinal)
    return { ...layer, members }
  })
}

/** The rows of one statement of a batch. */
export function rowsOf<Row>(result: D1Result | undefined): Row[] {
  return (result?.results ?? []) as Row[]
}
