/** The definitions of sinks as Sink objects and the schedule read them: prepared SQL, no drizzle. */

import type { SinkConfig } from '../logs/deliver/sink-config.ts'

/** A row, as far as a Sink object needs it; members that are JSON are texts. */
export interface StoredSink {
  id: string
  environmentId: string
  name: string
  kind: string
  settings: string
  secrets: string
  filter: string
  delivery: string
  paused: boolean
  revision: number
}

/** What a Sink object needs; null where there is no such sink any more. */
export async function readSinkConfig(db: D1Database, id: string): Promise<SinkConfig | null> {
  const row = await db
    .prepare(
      `SELECT id, environment_id AS environmentId, name, kind, settings, secrets, filter, delivery, paused, revision
       FROM sinks WHERE id = ?`,
    )
    .bind(id)
    .first<StoredSink>()
  return row === null ? null : sinkConfigOf({ ...row, paused: Boolean(row.paused) })
}

/** Replaces sealed secrets by the same ones sealed anew; nothing where they were changed meanwhile. */
export async function resealSink(db: D1Database, id: string, before: string, after: string): Promise<void> {
  await db
    .prepare('UPDATE sinks SET secrets = ?3 WHERE id = ?1 AND secrets = ?2')
    .bind(id, before, after)
    .run()
}

/** Of all environments, by id: for waking them. */
export async function listSinkIds(db: D1Database, afterId: string, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare('SELECT id FROM sinks WHERE id > ? AND paused = 0 ORDER BY id LIMIT ?')
    .bind(afterId, limit)
    .all<{ id: string }>()
  return results.map(({ id }) => id)
}

/** A row as the Sink object takes it. */
export function sinkConfigOf(row: StoredSink): SinkConfig {
  return {
    format: 1,
    id: row.id,
    environmentId: row.environmentId,
    name: row.name,
    kind: row.kind,
    settings: JSON.parse(row.settings) as SinkConfig['settings'],
    sealedSecrets: row.secrets,
    filter: JSON.parse(row.filter) as SinkConfig['filter'],
    delivery: JSON.parse(row.delivery) as SinkConfig['delivery'],
    paused: row.paused,
    revision: row.revision,
  }
}
