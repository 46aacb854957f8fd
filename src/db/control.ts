/**
 * The control plane's way into D1: typed statements, and changes that carry their audit row and their revision in one
 * batch (design 3). Errors of drizzle hold SQL and parameters in their message: never log or show them.
 */

import { sql } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import { drizzle, type DrizzleD1Database } from 'drizzle-orm/d1'
import { timeOrderedUuid } from '../lib/bytes.ts'
import { audit, deployment, environments } from './schema-control.ts'

export type ControlDb = DrizzleD1Database
/** One statement of a batch: any drizzle builder, not awaited. */
export type Statement = BatchItem<'sqlite'>

/** One for each request (it holds no state of its own). */
export function controlDb(db: D1Database): ControlDb {
  return drizzle(db)
}

/** Who changed what: the audit row of a change. */
export interface ChangeNote {
  /** The name of the operator's token. */
  actor: string
  /** `resource.verb`, e.g. `node.delete`. */
  action: string
  /** Null for what belongs to the whole deployment. */
  environmentId: string | null
  /** The id of what was changed. */
  subject: string
  /** What a reader of the audit needs beside it. No secrets, no SQL. */
  detail: Readonly<Record<string, unknown>>
  atMs: number
}

/**
 * Which revision a change raises: that of its environment, that of the deployment (what the directory holds), or none
 * (what no snapshot holds).
 */
export type RevisionScope = 'environment' | 'deployment' | 'none'

/**
 * Runs a change as one transaction: its statements, its audit row, its revision. Returns the revision it made (0 for
 * scope `none`) and each statement's result. Throws where any statement fails; nothing is changed then.
 */
export async function commitChange(
  db: ControlDb,
  note: ChangeNote,
  scope: RevisionScope,
  statements: readonly Statement[],
): Promise<{ revision: number; results: unknown[] }> {
  // The revision goes first: what follows may have to read it, and a failure later takes it back.
  const [raised, , ...results] = (await db.batch([
    raiseRevision(db, scope, note.environmentId),
    auditRow(db, note),
    ...statements,
  ])) as [{ revision: number }[], unknown, ...unknown[]]
  return { revision: scope === 'none' ? 0 : (raised[0]?.revision ?? 0), results }
}

function raiseRevision(db: ControlDb, scope: RevisionScope, environmentId: string | null) {
  if (scope === 'environment') {
    return db
      .update(environments)
      .set({ revision: sql`revision + 1` })
      .where(sql`id = ${environmentId}`)
      .returning({ revision: environments.revision })
  }
  // Scope `none` reads the revision and leaves it: the batch keeps one shape.
  return db
    .update(deployment)
    .set({ revision: scope === 'deployment' ? sql`revision + 1` : sql`revision` })
    .where(sql`id = 1`)
    .returning({ revision: deployment.revision })
}

function auditRow(db: ControlDb, note: ChangeNote) {
  return db.insert(audit).values({
    id: timeOrderedUuid(note.atMs),
    atMs: note.atMs,
    actor: note.actor,
    action: note.action,
    environmentId: note.environmentId,
    subject: note.subject,
    detail: JSON.stringify(note.detail),
  })
}

/** Whether an error says that this column (`table.column`) refused a NULL: how a statement stops the batch it is in. */
export function isNullRefused(error: unknown, column: string): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.message.includes('NOT NULL constraint failed') && cause.message.includes(column)) return true
  }
  return false
}

/** Whether an error says that a UNIQUE constraint on this column (`table.column`) refused a row. */
export function isUniqueViolation(error: unknown, column: string): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.message.includes('UNIQUE constraint failed') && cause.message.includes(column)) return true
  }
  return false
}
