/** What snapshots are compiled from: one D1 batch, so that what is read belongs together. */

import type { Held } from '../fleet/held.ts'
import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { heldOfRow, heldOfText } from './held-options.ts'
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
    /** JSON: how often agents come (config/intervals.ts). */
    intervals: string
  }
  configuration: { version: number; document: string }
  /** Over that document, in order. */
  layers: LayerRow[]
  /** Scheduled queries that are left out, by the name in log lines. */
  pausedQueries: string[]
  /** What nodes may hold of versions before. */
  held: Held[]
  /** Nodes with another configuration than the others. Absent: none. */
  rollouts?: RolloutRows
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
    /** Of a query to all nodes: those above this ordinal are asked as soon as they are there. */
    openFrom?: number | null
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

export interface RolloutRows {
  /** The version on its way and who gets it; null where none is. */
  candidate: (Pick<EnvironmentRows, 'configuration' | 'layers'> & Cohort & { costIntervalS: number }) | null
  /** Of versions that were taken back: what their members may hold still. */
  takenBack: Cohort[]
}

export interface Cohort {
  members: NodeSet
  held: Held[]
}

const STABLE = `(SELECT COALESCE(e.stable_version,
  (SELECT MAX(version) FROM configurations WHERE environment_id = ?1)) FROM environments AS e WHERE e.id = ?1)`
const UNDER_WAY = `environment_id = ?1 AND ended_at IS NULL AND served = 1`
/** The versions that nodes get. */
const VERSIONS = `(SELECT ${STABLE} UNION SELECT version FROM rollouts WHERE ${UNDER_WAY})`
const ENVIRONMENT = `SELECT ${STABLE} AS stableVersion, id, name, revision, minimum_issued_at_s AS minimumIssuedAtS,
  accelerate_share AS accelerateShare, retention, built_in AS builtIn,
  intervals FROM environments WHERE id = ?1`
const CONFIGURATION = `SELECT version, document FROM configurations
  WHERE environment_id = ?1 AND version IN ${VERSIONS}`
const LAYERS = `SELECT l.version, l.position, l.name, json_extract(l.match, '$.platform') AS platform, d.document
  FROM configuration_layers AS l JOIN configuration_documents AS d
    ON d.environment_id = l.environment_id AND d.sha256 = l.document_sha256
  WHERE l.environment_id = ?1 AND l.version IN ${VERSIONS} ORDER BY l.position`
// Ordinals as lists of 32,768 at most, so that a million of them are no million rows.
const LAYER_TAGS = `SELECT l.version, l.position, json_group_array(n.ordinal) AS ordinals
  FROM configuration_layers AS l
  JOIN node_tags AS t ON t.environment_id = l.environment_id AND t.tag = json_extract(l.match, '$.tag')
  JOIN nodes AS n ON n.id = t.node_id AND n.deleted_at IS NULL
  WHERE l.environment_id = ?1 AND l.version IN ${VERSIONS}
  GROUP BY l.version, l.position, n.ordinal / 32768`
const LAYER_SETS = `SELECT l.version, l.position, c.chunk, c.bits FROM configuration_layers AS l
  JOIN node_sets AS s ON s.environment_id = l.environment_id AND s.name = json_extract(l.match, '$.nodeSet')
  JOIN node_set_chunks AS c ON c.node_set_id = s.id
  WHERE l.environment_id = ?1 AND l.version IN ${VERSIONS}`
const HELD = `SELECT pointer, platform FROM held_options WHERE environment_id = ?1 ORDER BY pointer, platform`
const PAUSED = `SELECT name FROM paused_queries WHERE environment_id = ?1 AND resumed_at IS NULL ORDER BY name`
const ROLLOUTS = `SELECT id, version, held, clearing, json_extract(plan, '$.costIntervalS') AS costIntervalS FROM rollouts
  WHERE (${UNDER_WAY}) OR (environment_id = ?1 AND clearing = 1)`
const ROLLOUT_MEMBERS = `SELECT rollout_id AS id, chunk, bits FROM rollout_members WHERE rollout_id IN
  (SELECT id FROM rollouts WHERE (${UNDER_WAY}) OR (environment_id = ?1 AND clearing = 1))`
const OPEN_QUERIES = `SELECT number, id, kind, sql, shards, expires_at AS expiresAtMs,
  log_results AS logResults, discovery, max_rows_per_node AS maxRowsPerNode,
  late_from IS NOT NULL AS staysOpen,
  CASE WHEN json_extract(targets, '$.all') = 1 THEN late_from END AS openFrom FROM queries
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
    ROLLOUTS,
    ROLLOUT_MEMBERS,
    ...STANDING_STATEMENTS,
  ]
  const results = await db.batch(statements.map((sql) => db.prepare(sql).bind(environmentId)))
  const [found] = rowsOf<EnvironmentRows['environment'] & { stableVersion: number }>(results[0])
  if (found === undefined) return null
  const { stableVersion, ...environment } = found
  const configurationOf = (version: number) => {
    const configurations = rowsOf<EnvironmentRows['configuration']>(results[1])
    const configuration = configurations.find((row) => row.version === version)
    if (configuration === undefined) return null
    return { configuration, layers: layersOf(version, results[6], results[7], results[8]) }
  }
  const stable = configurationOf(stableVersion)
  if (stable === null) return null
  const targets = Map.groupBy(
    rowsOf<{ number: number; chunk: number; bits: ArrayLike<number> }>(results[3]),
    ({ number }) => number,
  )
  return {
    environment,
    ...stable,
    rollouts: rolloutsOf(results[11], results[12], configurationOf),
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
  version: number,
  layers: D1Result | undefined,
  tags: D1Result | undefined,
  sets: D1Result | undefined,
): LayerRow[] {
  const ofVersion = <Row>(result: D1Result | undefined) =>
    rowsOf<Row & { version: number }>(result).filter((row) => row.version === version)
  const tagRows = ofVersion<{ position: number; ordinals: string }>(tags)
  const byTag = Map.groupBy(tagRows, ({ position }) => position)
  const bySet = Map.groupBy(ofVersion<ChunkRow & { position: number }>(sets), ({ position }) => position)
  return ofVersion<Omit<LayerRow, 'members'>>(layers).map(({ position, name, platform, document }) => {
    const members = nodeSetOf(bySet.get(position) ?? [])
    for (const { ordinals } of byTag.get(position) ?? [])
      for (const ordinal of JSON.parse(ordinals) as number[]) members.add(ordinal)
    return { position, name, platform, document, members }
  })
}

function rolloutsOf(
  rollouts: D1Result | undefined,
  members: D1Result | undefined,
  configurationOf: (version: number) => Pick<EnvironmentRows, 'configuration' | 'layers'> | null,
): RolloutRows {
  const chunks = Map.groupBy(rowsOf<ChunkRow & { id: string }>(members), ({ id }) => id)
  const cohortOf = ({ id, held }: { id: string; held: string }): Cohort => ({
    members: nodeSetOf(chunks.get(id) ?? []),
    held: heldOfText(held),
  })
  const rows = rowsOf<RolloutRow>(rollouts)
  const underWay = rows.find(({ clearing }) => clearing === 0)
  const found = underWay === undefined ? null : configurationOf(underWay.version)
  return {
    candidate:
      underWay === undefined || found === null
        ? null
        : { ...found, ...cohortOf(underWay), costIntervalS: underWay.costIntervalS },
    takenBack: rows.filter(({ clearing }) => clearing === 1).map(cohortOf),
  }
}

interface RolloutRow {
  id: string
  version: number
  held: string
  clearing: number
  costIntervalS: number
}

interface ChunkRow {
  chunk: number
  bits: ArrayLike<number>
}

/** D1 hands BLOBs out as arrays of numbers. */
function nodeSetOf(chunks: readonly ChunkRow[]): NodeSet {
  return NodeSet.ofChunks(chunks.map(({ chunk, bits }) => ({ chunk, bits: Uint8Array.from(bits) })))
}

/** The rows of one statement of a batch. */
export function rowsOf<Row>(result: D1Result | undefined): Row[] {
  return (result?.results ?? []) as Row[]
}
