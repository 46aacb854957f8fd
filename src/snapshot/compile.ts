/** Turns what D1 holds of an environment into parts and the base of a head. Pure but for hashing. */

import { nameTableBytes } from '../config/name-table.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { hexOf, sha256, utf8, type Bytes } from '../lib/bytes.ts'
import type { EnvironmentRows } from '../db/snapshot-rows.ts'
import { readRetention, type Retention } from '../logs/retention.ts'

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
  /** A NodeSet's bytes. */
  targets: Bytes
}

export interface CompiledEnvironment {
  environmentId: string
  name: string
  revision: number
  minimumIssuedAtS: number
  configurationVersion: number
  configurationParts: string[]
  namesPart: string
  retention: Retention
  revokedPart: string | null
  revokedCount: number
  /** Ordinals ever given out. */
  nodeCount: number
  accelerateShare: number
  queries: QueryDefinition[]
  parts: Map<string, Bytes>
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
  // The operator's document is served as it was written; a document for each splay bucket joins it here once
  // intervals are managed by the server.
  const configurationParts = [await keep(utf8(rows.configuration.document))]
  const namesPart = await keep(nameTableBytes([rows.configuration.document]))
  const revoked = NodeSet.of(rows.revokedOrdinals)
  const revokedPart = rows.revokedOrdinals.length === 0 ? null : await keep(revoked.toBytes())
  const queries = rows.queries.map(({ chunks, ...query }) => ({
    ...query,
    targets: NodeSet.ofChunks(chunks).toBytes(),
  }))
  return {
    environmentId: rows.environment.id,
    name: rows.environment.name,
    revision: rows.environment.revision,
    minimumIssuedAtS: rows.environment.minimumIssuedAtS,
    configurationVersion: rows.configuration.version,
    configurationParts,
    namesPart,
    retention: readRetention(rows.environment.retention),
    revokedPart,
    revokedCount: rows.revokedOrdinals.length,
    nodeCount: rows.nodeCount,
    accelerateShare: rows.environment.accelerateShare,
    queries,
    parts,
  }
}
