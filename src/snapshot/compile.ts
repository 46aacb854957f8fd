/** Turns what D1 holds of an environment into parts and the base of a head. Pure but for hashing. */

import { BUILT_IN_PREFIX, builtInDocument, readBuiltIn } from '../config/built-in.ts'
import { heldUnder } from '../config/held.ts'
import { intervalPlaces, intervalsUnder, readIntervals } from '../config/intervals.ts'
import { mergeLayers } from '../config/merge.ts'
import { nameTableBytes, readNameTable } from '../config/name-table.ts'
import { servedDocument, type ServedDocument } from '../config/served.ts'
import type { IntervalPlaces } from '../fleet/interval-edits.ts'
import { masksInUse, type LayerSelector } from '../fleet/layers.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import type { EnvironmentRows } from '../db/snapshot-rows.ts'
import { isPlatformFamily, type PlatformFamily } from '../fleet/platform.ts'
import { cohortRows } from './cohort-rows.ts'
import type { HeadCohort, HeadLayers } from './head.ts'
import { readRetention, type Retention } from '../logs/retention.ts'
import { headStanding, type HeadStanding } from './standing.ts'

/** A query as the environment's object keeps it: answer shards ask for it by number. */
export interface QueryDefinition {
  number: number
  id: string
  kind: 'query' | 'carve'
  sql: string
  shards: number
  expiresAtMs: number
  /** 0: its results do not become log lines. Absent where a Worker of before there was a choice compiled it: they do. */
  logResults?: number
  /** It runs only where this gives a row; null or absent: everywhere. */
  discovery?: string | null
  /** Rows of one answer that are kept; absent or null: all that fit. */
  maxRowsPerNode?: number | null
  /** 1: it is not over when all have answered, because nodes that enroll later are asked too. */
  staysOpen?: number
  /** A number: nodes above this ordinal are asked, too, as soon as they are there. */
  openFrom?: number | null
  /** A NodeSet's bytes. */
  targets: Bytes
}

export interface CompiledEnvironment {
  environmentId: string
  name: string
  revision: number
  standing: HeadStanding
  configurationVersion: number
  configurationParts: string[]
  layers: HeadLayers | undefined
  cohorts: HeadCohort[]
  namesPart: string
  retention: Retention
  revokedPart: string | null
  revokedCount: number
  /** Ordinals ever given out. */
  nodeCount: number
  accelerateShare: number
  queries: QueryDefinition[]
  parts: Map<string, Bytes>
  /** Names of scheduled queries in all documents, the server's own left out. */
  scheduledCount: number
  /** Where each document speaks of intervals, by its part. */
  intervalPlaces: Record<string, IntervalPlaces>
}

/** A part's name: half of its SHA-256 is ample for content addressing and keeps heads small. */
export async function partHash(bytes: Bytes): Promise<string> {
  return hexOf((await sha256(bytes)).subarray(0, 16))
}

/**
 * Compiles one environment. Open queries past their expiry are kept: heads leave them out, and who closes queries in
 * D1 has to see them.
 */
export async function compileEnvironment(rows: EnvironmentRows): Promise<CompiledEnvironment> {
  const parts = new Map<string, Bytes>()
  async function keep(bytes: Bytes): Promise<string> {
    const hash = await partHash(bytes)
    parts.set(hash, bytes)
    return hash
  }
  const places: Record<string, IntervalPlaces> = {}
  async function keepDocument({ text, managed }: ServedDocument): Promise<string> {
    const bytes = utf8(text)
    const hash = await keep(bytes)
    // Two combinations may come to one text: what is managed in one of them may vary in both.
    const found = places[hash] === undefined || managed.length > 0 ? intervalPlaces(bytes, managed) : null
    if (found !== null) places[hash] = found
    return hash
  }
  const configuration = await compileConfiguration(rows, { keep, keepDocument })
  const cohorts = await compileCohorts(rows, configuration, { keep, keepDocument })
  const named = [rows, ...cohortRows(rows).map((cohort) => cohort.rows)].flatMap(namedIn)
  const names = nameTableBytes([...new Set(named)])
  const namesPart = await keep(names)
  const revokedOrdinals = [...rows.revokedOrdinals, ...(rows.standing?.blockedOrdinals ?? [])]
  const revoked = NodeSet.of(revokedOrdinals)
  const revokedPart = revokedOrdinals.length === 0 ? null : await keep(revoked.toBytes())
  const queries = rows.queries.map(({ chunks, ...query }) => ({
    ...query,
    targets: NodeSet.ofChunks(chunks).toBytes(),
  }))
  return {
    environmentId: rows.environment.id,
    name: rows.environment.name,
    revision: rows.environment.revision,
    standing: await headStanding(rows.environment.minimumIssuedAtS, rows.standing, keep),
    ...configuration,
    cohorts,
    namesPart,
    retention: readRetention(rows.environment.retention),
    revokedPart,
    // A node whose older keys are superseded may be out as well, should that be a mistake.
    revokedCount: revokedOrdinals.length + (rows.standing?.superseded.length ?? 0),
    nodeCount: rows.nodeCount,
    accelerateShare: rows.environment.accelerateShare,
    queries,
    parts,
    scheduledCount: [...readNameTable(names).keys()].filter((name) => !name.startsWith(BUILT_IN_PREFIX))
      .length,
    intervalPlaces: places,
  }
}

interface Keep {
  keep(bytes: Bytes): Promise<string>
  keepDocument(document: ServedDocument): Promise<string>
}
type CompiledConfiguration = Pick<
  CompiledEnvironment,
  'configurationVersion' | 'configurationParts' | 'layers'
>

async function compileConfiguration(rows: EnvironmentRows, keep: Keep): Promise<CompiledConfiguration> {
  // The operator's document is served as it was written, unless the server adds to it or takes something back. One part
  // is enough for all splay buckets: the edge puts their intervals in (fleet/interval-edits.ts).
  const configurationParts = [await keep.keepDocument(served(rows, 0))]
  const layers = await layersOf(rows, layerDocuments(rows), keep)
  return { configurationVersion: rows.configuration.version, configurationParts, layers }
}

/** Nodes that had a version which was taken back are no cohort where nothing of it has to be cleared. */
async function compileCohorts(
  rows: EnvironmentRows,
  common: CompiledConfiguration,
  keep: Keep,
): Promise<HeadCohort[]> {
  const compiled: HeadCohort[] = []
  for (const { members, rows: own } of cohortRows(rows)) {
    const configuration = await compileConfiguration(own, keep)
    if (JSON.stringify(configuration) === JSON.stringify(common)) continue
    const { layers, ...rest } = configuration
    const part = await keep.keep(members.toBytes())
    compiled.push({ part, ...rest, ...(layers === undefined ? {} : { layers }) })
  }
  return compiled
}

/** The documents that name what log lines carry. Lines of a query that was paused a moment ago are still on their way. */
function namedIn(rows: EnvironmentRows): string[] {
  const layered = [...layerDocuments({ ...rows, pausedQueries: [] }).values()].map(({ text }) => text)
  const builtIn = builtInDocument(readBuiltIn(rows.environment.builtIn))
  return [rows.configuration.document, builtIn, ...layered]
}

/** The document of each combination of layers that some node has or may get, by its mask. */
function layerDocuments(rows: EnvironmentRows): Map<number, ServedDocument> {
  const { layers } = rows
  if (layers.length === 0) return new Map()
  const masks = masksInUse(
    layers.map(({ platform, members }) => (isFamily(platform) ? { platform } : { members })),
  )
  return new Map(masks.map((mask) => [mask, served(rows, mask)]))
}

/** What the nodes of one combination get: the layers over the base, and what the server does to that. */
function served(rows: EnvironmentRows, mask: number): ServedDocument {
  const { environment, configuration, layers, held, pausedQueries } = rows
  const chosen = layers.filter((_layer, index) => (mask & (1 << index)) !== 0)
  const merged = mergeLayers(configuration.document, chosen)
  const names = chosen.map(({ name }) => name)
  return servedDocument(merged, {
    held: heldUnder(held, layers, mask),
    builtIn: readBuiltIn(environment.builtIn),
    paused: new Set(pausedQueries),
    intervals: intervalsUnder(readIntervals(environment.intervals), names),
  })
}

async function layersOf(
  { layers }: EnvironmentRows,
  documents: ReadonlyMap<number, ServedDocument>,
  keep: Keep,
): Promise<HeadLayers | undefined> {
  if (layers.length === 0) return undefined
  const selectors: LayerSelector[] = []
  for (const { platform, members } of layers)
    selectors.push(isFamily(platform) ? { platform } : { part: await keep.keep(members.toBytes()) })
  const parts: Record<string, string> = {}
  for (const [mask, document] of documents) parts[mask] = await keep.keepDocument(document)
  return { selectors, documents: parts }
}

function isFamily(platform: string | null): platform is PlatformFamily {
  return platform !== null && isPlatformFamily(platform)
}
