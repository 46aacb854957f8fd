/** Approval: whether an environment's new nodes wait for it, and giving it. */

import { and, count, eq, isNull, sql } from 'drizzle-orm'
import type { AnySQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { NodeSet } from '../fleet/node-set.ts'
import { nodeStateOf, type NodeState } from '../fleet/standing.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { inState } from './node-states.ts'
import { environments } from './schema-control.ts'
import { nodes } from './schema-nodes.ts'
import { queries } from './schema-queries.ts'
import { slicesOf } from './tags.ts'

export interface Admission {
  approval: boolean
  archiveAfterDays: number
}

/** Sets it; the directory has it too, because enroll asks there. Returns the directory's revision. */
export async function updateAdmission(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  wanted: Admission,
): Promise<number> {
  const update = db.update(environments).set(wanted).where(eq(environments.id, environmentId))
  return (await commitChange(db, note, 'deployment', [update])).revision
}

/** Lets pending nodes in. Queries that ask nodes which enroll later look at them anew. Returns the revision. */
export async function approveNodes(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  set: NodeSet,
): Promise<number> {
  const [lowest = 0] = set
  const approvals = [...slicesOf(set)].map((ordinals) =>
    db
      .update(nodes)
      .set({ pendingSinceMs: null, approvedAtMs: note.atMs })
      .where(
        and(
          eq(nodes.environmentId, environmentId),
          inState('pending'),
          sql`${nodes.ordinal} IN (SELECT value FROM json_each(${JSON.stringify(ordinals)}))`,
        ),
      ),
  )
  const askAnew = db
    .update(queries)
    .set({ lateFrom: lowest - 1 })
    .where(
      and(
        eq(queries.environmentId, environmentId),
        eq(queries.status, 'open'),
        sql`${queries.lateFrom} >= ${lowest}`,
      ),
    )
  return (await commitChange(db, note, 'environment', [...approvals, askAnew])).revision
}

/** How many living nodes of an environment are in each state. */
export async function countStates(db: ControlDb, environmentId: string): Promise<Record<NodeState, number>> {
  const { archivedAtMs, blockedAtMs, pendingSinceMs } = nodes
  const isThere = (column: AnySQLiteColumn) => sql<number>`(${column} IS NOT NULL)`
  const rows = await db
    .select({
      blocked: isThere(blockedAtMs),
      pending: isThere(pendingSinceMs),
      archived: isThere(archivedAtMs),
      nodes: count(),
    })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), isNull(nodes.deletedAtMs)))
    .groupBy(sql`1, 2, 3`)
  const counts: Record<NodeState, number> = { active: 0, pending: 0, archived: 0, blocked: 0 }
  for (const row of rows) {
    const timeOf = (is: number) => (is === 0 ? null : 1)
    const state = nodeStateOf({
      blockedAtMs: timeOf(row.blocked),
      pendingSinceMs: timeOf(row.pending),
      archivedAtMs: timeOf(row.archived),
    })
    counts[state] += row.nodes
  }
  return counts
}
