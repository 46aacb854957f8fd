/** Environments. Everything below them is read and written with their id, never without. */

import { and, count, eq, inArray, isNull, max } from 'drizzle-orm'
import type { BuiltInSettings } from '../config/built-in.ts'
import { DEFAULT_RULES } from '../costs/rules.ts'
import { isUuid, sha256HexOfText } from '../lib/bytes.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { afterRow, newestFirst, type NewestFirstKey } from './newest-first.ts'
import { configurations, environments } from './schema-control.ts'
import { nodes } from './schema-nodes.ts'
import { ANSWER_SHARDS } from './seed.ts'

export type EnvironmentRow = typeof environments.$inferSelect

/** What a new environment's agents get until an operator says more. */
const FIRST_CONFIGURATION = '{"schedule":{},"packs":{}}'

/** The environment of this UUID (either case) or name. */
export async function findEnvironment(db: ControlDb, reference: string): Promise<EnvironmentRow | null> {
  const uuid = reference.toLowerCase()
  const named = isUuid(uuid) ? eq(environments.id, uuid) : eq(environments.name, reference)
  const [row] = await db.select().from(environments).where(named).limit(1)
  return row ?? null
}

/** Newest first; `after` is the sort key of the last row of the page before. */
export function listEnvironments(
  db: ControlDb,
  after: NewestFirstKey,
  limit: number,
): Promise<EnvironmentRow[]> {
  const { createdAtMs, id } = environments
  return db
    .select()
    .from(environments)
    .where(afterRow(createdAtMs, id, after))
    .orderBy(...newestFirst(createdAtMs, id))
    .limit(limit)
}

/** Makes an environment with its first configuration. Throws where its id or name is taken. */
export async function insertEnvironment(
  db: ControlDb,
  note: ChangeNote,
  environment: { id: string; name: string; builtIn: BuiltInSettings },
): Promise<{ row: EnvironmentRow; revision: number }> {
  const { id, name, builtIn } = environment
  const { revision, results } = await commitChange(db, note, 'deployment', [
    db
      .insert(environments)
      .values({
        id,
        name,
        revision: 1,
        answerShards: ANSWER_SHARDS,
        builtIn: JSON.stringify(builtIn),
        costRules: JSON.stringify(DEFAULT_RULES),
        createdAtMs: note.atMs,
      })
      .returning(),
    db.insert(configurations).values({
      environmentId: id,
      version: 1,
      document: FIRST_CONFIGURATION,
      sha256: await sha256HexOfText(FIRST_CONFIGURATION),
      createdAtMs: note.atMs,
      createdBy: note.actor,
    }),
  ])
  const [row] = results[0] as EnvironmentRow[]
  if (row === undefined) throw new Error('an insert returns its row')
  return { row, revision }
}

/** How many nodes each of these environments has. */
/** The highest ordinal that the environment ever gave out; -1: none. */
export async function highestOrdinal(db: ControlDb, environmentId: string): Promise<number> {
  const [row] = await db
    .select({ highest: max(nodes.ordinal) })
    .from(nodes)
    .where(eq(nodes.environmentId, environmentId))
  return row?.highest ?? -1
}

export async function countNodes(
  db: ControlDb,
  environmentIds: readonly string[],
): Promise<Map<string, number>> {
  const rows = await db
    .select({ id: nodes.environmentId, nodes: count() })
    .from(nodes)
    .where(and(inArray(nodes.environmentId, [...environmentIds]), isNull(nodes.deletedAtMs)))
    .groupBy(nodes.environmentId)
  return new Map(rows.map((row) => [row.id, row.nodes]))
}
