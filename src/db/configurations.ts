/** Configurations by version: a base document and layers over it. A version never changes. */

import { and, asc, desc, eq, lt, max, sql, type SQL } from 'drizzle-orm'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import type { Held } from '../fleet/held.ts'
import type { LayerMatch } from '../fleet/layers.ts'
import { rememberHeld } from './held-options.ts'
import {
  configurationDocuments,
  configurationLayers,
  configurations,
  environments,
} from './schema-control.ts'

export type ConfigurationRow = typeof configurations.$inferSelect

/** A layer as operators write it. */
export interface ConfigurationLayer {
  name: string
  match: LayerMatch
  sha256: string
  document: string
}

/** The version that nodes get where they are in no rollout. */
export function stableVersionOf(environmentId: string): SQL {
  return sql`(SELECT COALESCE(e.stable_version, (SELECT MAX(c.version) FROM configurations AS c
    WHERE c.environment_id = e.id)) FROM environments AS e WHERE e.id = ${environmentId})`
}

/** The version that nodes get where they are in no rollout. Every environment has one from the start. */
export async function stableConfiguration(db: ControlDb, environmentId: string): Promise<ConfigurationRow> {
  const [row] = await db
    .select()
    .from(configurations)
    .where(
      and(
        eq(configurations.environmentId, environmentId),
        sql`${configurations.version} = ${stableVersionOf(environmentId)}`,
      ),
    )
  if (row === undefined) throw new Error('an environment has a configuration')
  return row
}

/** Its number. */
export async function stableVersion(db: ControlDb, environmentId: string): Promise<number> {
  const [row] = await db
    .select({ version: sql<number>`${stableVersionOf(environmentId)}` })
    .from(environments)
    .where(eq(environments.id, environmentId))
  return row?.version ?? 0
}

/** The number of the newest version: that of a rollout, the stable one, or one that was taken back. */
export async function newestVersion(db: ControlDb, environmentId: string): Promise<number> {
  const [row] = await db
    .select({ version: max(configurations.version) })
    .from(configurations)
    .where(eq(configurations.environmentId, environmentId))
  return row?.version ?? 0
}

/** A version without its document, for lists. */
export type ConfigurationSummaryRow = Omit<ConfigurationRow, 'document' | 'environmentId'> & { bytes: number }

/** Versions below a number, newest first. */
export function listConfigurations(
  db: ControlDb,
  environmentId: string,
  belowVersion: number | null,
  limit: number,
): Promise<ConfigurationSummaryRow[]> {
  const { version, sha256, createdAtMs, createdBy, message, document } = configurations
  return db
    .select({
      version,
      sha256,
      createdAtMs,
      createdBy,
      message,
      bytes: sql<number>`LENGTH(CAST(${document} AS BLOB))`,
    })
    .from(configurations)
    .where(
      and(
        eq(configurations.environmentId, environmentId),
        belowVersion === null ? undefined : lt(version, belowVersion),
      ),
    )
    .orderBy(desc(version))
    .limit(limit)
}

export async function findConfiguration(
  db: ControlDb,
  environmentId: string,
  version: number,
): Promise<ConfigurationRow | null> {
  const [row] = await db
    .select()
    .from(configurations)
    .where(and(eq(configurations.environmentId, environmentId), eq(configurations.version, version)))
    .limit(1)
  return row ?? null
}

/** The layers of a version, in their order. */
export async function layersOfVersion(
  db: ControlDb,
  environmentId: string,
  version: number,
): Promise<ConfigurationLayer[]> {
  const rows = await db
    .select({
      name: configurationLayers.name,
      match: configurationLayers.match,
      sha256: configurationLayers.documentSha256,
      document: configurationDocuments.document,
    })
    .from(configurationLayers)
    .innerJoin(
      configurationDocuments,
      and(
        eq(configurationDocuments.environmentId, configurationLayers.environmentId),
        eq(configurationDocuments.sha256, configurationLayers.documentSha256),
      ),
    )
    .where(
      and(eq(configurationLayers.environmentId, environmentId), eq(configurationLayers.version, version)),
    )
    .orderBy(asc(configurationLayers.position))
  return rows.map(({ match, ...row }) => ({ ...row, match: JSON.parse(match) as LayerMatch }))
}

/** Every `distributed_interval` that the documents of these versions say, their layers' too. */
export async function distributedIntervalsSaid(
  db: ControlDb,
  environmentId: string,
  versions: readonly number[],
): Promise<(string | number)[]> {
  const among = sql`(SELECT value FROM json_each(${JSON.stringify(versions)}))`
  const rows = await db.all<{ said: string | number | null }>(sql`
    SELECT json_extract(document, '$.options.distributed_interval') AS said FROM configurations
      WHERE environment_id = ${environmentId} AND version IN ${among}
    UNION SELECT json_extract(d.document, '$.options.distributed_interval')
      FROM configuration_layers AS l JOIN configuration_documents AS d
        ON d.environment_id = l.environment_id AND d.sha256 = l.document_sha256
      WHERE l.environment_id = ${environmentId} AND l.version IN ${among}`)
  return rows.flatMap(({ said }) => (said === null ? [] : [said]))
}

/** Whether a version that nodes get has a layer for this saved node set. */
export async function layerUsesNodeSet(db: ControlDb, environmentId: string, name: string): Promise<boolean> {
  const served = sql`(SELECT ${stableVersionOf(environmentId)} UNION SELECT version FROM rollouts
    WHERE environment_id = ${environmentId} AND ended_at IS NULL)`
  const [row] = await db
    .select({ name: configurationLayers.name })
    .from(configurationLayers)
    .where(
      and(
        eq(configurationLayers.environmentId, environmentId),
        sql`${configurationLayers.version} IN ${served}`,
        sql`json_extract(${configurationLayers.match}, '$.nodeSet') = ${name}`,
      ),
    )
    .limit(1)
  return row !== undefined
}

/** A version that is not stored yet. */
export type NewVersion = Pick<
  ConfigurationRow,
  'environmentId' | 'version' | 'document' | 'sha256' | 'message'
> & { layers: readonly ConfigurationLayer[] }

/**
 * Adds a version and makes it that of all nodes. Returns the environment's revision. Throws where there is this version
 * already: somebody else was faster; and where a rollout is under way (NULL for configurations.created_by).
 */
export async function insertConfiguration(
  db: ControlDb,
  note: ChangeNote,
  configuration: NewVersion & {
    /** What nodes may hold from now on. */
    held: readonly Held[]
    /** What changes with it, in the same batch. */
    also?: readonly Statement[]
  },
): Promise<number> {
  const { environmentId, version, held, also = [] } = configuration
  const isFree = sql<string>`CASE WHEN NOT EXISTS (SELECT 1 FROM rollouts
    WHERE environment_id = ${environmentId} AND ended_at IS NULL) THEN ${note.actor} END`
  const { revision } = await commitChange(db, note, 'environment', [
    ...newVersionStatements(db, note, configuration, isFree),
    db.update(environments).set({ stableVersion: version }).where(eq(environments.id, environmentId)),
    rememberHeld(db, environmentId, held),
    ...also,
  ])
  return revision
}

/** Stores a version; nobody gets it by that. */
export function newVersionStatements(
  db: ControlDb,
  note: ChangeNote,
  { environmentId, version, document, sha256, message, layers }: NewVersion,
  createdBy: SQL<string> | string = note.actor,
): Statement[] {
  return [
    db
      .insert(configurations)
      .values({ environmentId, version, document, sha256, createdAtMs: note.atMs, createdBy, message }),
    ...layers.flatMap((layer, position) => [
      db
        .insert(configurationDocuments)
        .values({ environmentId, sha256: layer.sha256, document: layer.document })
        .onConflictDoNothing(),
      db.insert(configurationLayers).values({
        environmentId,
        version,
        position,
        name: layer.name,
        match: JSON.stringify(layer.match),
        documentSha256: layer.sha256,
      }),
    ]),
  ]
}
