/** Query definitions, of carves too: a carve is asked for by a query of kind `carve`. */

import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { NodeSet } from '../fleet/node-set.ts'
import type { Targets } from '../fleet/targeting.ts'
import { commitChange, type ChangeNote, type ControlDb, type Statement } from './control.ts'
import type { EnvironmentRow } from './environments.ts'
import { environments } from './schema-control.ts'
import { queries, queryTargets } from './schema-queries.ts'

export type QueryRow = typeof queries.$inferSelect

/** What a query that asks some nodes of another one again keeps in the place of targets. */
export interface RerunTargets {
  rerun: { query: string; only: 'unanswered' | 'failed' }
}

export interface NewQuery {
  id: string
  kind: QueryRow['kind']
  sql: string
  targets: Targets | RerunTargets
  /** What the targets were resolved to; not empty. */
  nodes: NodeSet
  expiresAtMs: number
  /** It runs only where this gives a row; absent: everywhere. */
  discovery?: string | null
  /** Whether its results become log lines. */
  logResults: boolean
  label?: string | null
  /** Left out of lists. */
  hidden?: boolean
  /** What a node sends beyond this is left out and flagged; absent: all that fits. */
  maxRowsPerNode?: number | null
  /** Nodes above this ordinal, the environment's highest, are asked too when they enroll; absent: they are not. */
  lateFrom?: number | null
  webhook?: NewWebhook | null
}

/** Whom to tell when a query is over. */
export interface NewWebhook {
  url: string
  /** Sealed (logs/deliver/sealed-secrets.ts); null: it is not signed. */
  secrets: string | null
  /** Where the operator reached this deployment: links begin so. */
  origin: string
}

/**
 * The statements that make a query, for a batch. Its number is the environment's next one, which is never given
 * again: it travels inside ids on the wire. The second statement returns the row.
 */
export function buildQueryInsert(
  db: ControlDb,
  environment: Pick<EnvironmentRow, 'id' | 'answerShards'>,
  query: NewQuery,
  note: Pick<ChangeNote, 'actor' | 'atMs'>,
): Statement[] {
  const environmentId = environment.id
  const number = sql<number>`(SELECT next_query_number - 1 FROM environments WHERE id = ${environmentId})`
  return [
    db
      .update(environments)
      .set({ nextQueryNumber: sql`next_query_number + 1` })
      .where(eq(environments.id, environmentId)),
    db
      .insert(queries)
      .values({
        id: query.id,
        environmentId,
        number,
        kind: query.kind,
        sql: query.sql,
        targets: JSON.stringify(query.targets),
        shards: environment.answerShards,
        targeted: query.nodes.size,
        status: 'open',
        createdAtMs: note.atMs,
        expiresAtMs: query.expiresAtMs,
        logResults: query.logResults,
        discovery: query.discovery ?? null,
        label: query.label ?? null,
        hidden: query.hidden ?? false,
        maxRowsPerNode: query.maxRowsPerNode ?? null,
        lateFrom: query.lateFrom ?? null,
        webhookUrl: query.webhook?.url ?? null,
        webhookSecrets: query.webhook?.secrets ?? null,
        webhookOrigin: query.webhook?.origin ?? null,
        webhookDueAtMs: query.webhook ? note.atMs : null,
        createdBy: note.actor,
      })
      .returning(),
    ...query.nodes
      .chunks()
      .map(({ chunk, bits }) => db.insert(queryTargets).values({ environmentId, number, chunk, bits })),
  ]
}

/** Opens a query, together with other statements if the caller has some; one transaction. */
export async function insertQuery(
  db: ControlDb,
  note: ChangeNote,
  environment: Pick<EnvironmentRow, 'id' | 'answerShards'>,
  query: NewQuery,
  alongside: readonly Statement[] = [],
): Promise<{ row: QueryRow; revision: number }> {
  const statements = [...buildQueryInsert(db, environment, query, note), ...alongside]
  const { revision, results } = await commitChange(db, note, 'environment', statements)
  const [row] = results[1] as QueryRow[]
  if (row === undefined) throw new Error('an insert returns its row')
  return { row, revision }
}

/** A query that is not erased, of either kind. */
export async function findQuery(db: ControlDb, environmentId: string, id: string): Promise<QueryRow | null> {
  const [row] = await db
    .select()
    .from(queries)
    .where(and(eq(queries.environmentId, environmentId), eq(queries.id, id), isNull(queries.erasedAtMs)))
    .limit(1)
  return row ?? null
}

/** Queries that operators wrote, newest first, below a number; hidden ones where they are asked for. */
export function listQueries(
  db: ControlDb,
  environmentId: string,
  belowNumber: number | null,
  limit: number,
  withHidden: boolean,
): Promise<QueryRow[]> {
  return db
    .select()
    .from(queries)
    .where(
      and(
        eq(queries.environmentId, environmentId),
        eq(queries.kind, 'query'),
        isNull(queries.erasedAtMs),
        withHidden ? undefined : eq(queries.hidden, false),
        belowNumber === null ? undefined : lt(queries.number, belowNumber),
      ),
    )
    .orderBy(desc(queries.number))
    .limit(limit)
}

/** Stops an open query; one that ended meanwhile stays as it is. Returns the revision. */
export async function stopQuery(db: ControlDb, note: ChangeNote, row: QueryRow): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(queries)
      .set({ status: 'stopped', closedAtMs: note.atMs })
      .where(
        and(eq(queries.environmentId, row.environmentId), eq(queries.id, row.id), eq(queries.status, 'open')),
      ),
  ])
  return revision
}

/** Marks a query as erased: nobody sees it from now on. The environment's object forgets it when its answers are gone. */
export async function markQueryErased(db: ControlDb, note: ChangeNote, row: QueryRow): Promise<number> {
  const { revision } = await commitChange(db, note, 'environment', [
    db
      .update(queries)
      .set({ erasedAtMs: note.atMs })
      .where(and(eq(queries.environmentId, row.environmentId), eq(queries.id, row.id))),
  ])
  return revision
}
