/** Turns targets into ordinals. A deleted node is not there. */

import { and, asc, eq, gt, inArray, isNull, or, sql, type SQL } from 'drizzle-orm'
import { NodeSet } from '../fleet/node-set.ts'
import { isPlatformFamily } from '../fleet/platform.ts'
import {
  listOf,
  unknownValues,
  type ListedTarget,
  type TargetFault,
  type Targets,
} from '../fleet/targeting.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { ControlDb } from './control.ts'
import { nodes, nodeTags } from './schema.ts'

/** Rows of one D1 answer: a million nodes are twenty pages, and none of them is large. */
const ORDINALS_PER_PAGE = 50_000

/** The nodes that the targets mean now; a fault for each value that nothing here has, and for an empty set. */
export async function resolveTargets(
  db: ControlDb,
  environmentId: string,
  targets: Targets,
): Promise<Result<NodeSet, TargetFault[]>> {
  const list = listOf(targets)
  const here = and(eq(nodes.environmentId, environmentId), isNull(nodes.deletedAtMs))
  if (list !== null) {
    const known = await knownValues(db, environmentId, here, list.key, list.values)
    const faults = unknownValues(list, known)
    if (faults.length > 0) return fail(faults)
  }
  const wanted = list === null ? here : and(here, matches(environmentId, list.key, list.values))
  // Few nodes by index, or a walk along the ordinals: SQLite would take the walk for all of them.
  const byIndex = list?.key === 'nodes' || list?.key === 'hostnames'
  const set = byIndex ? await ordinalsAtOnce(db, wanted) : await ordinalsInPages(db, wanted)
  return set.size === 0 ? fail([{ pointer: '', detail: 'no node matches' }]) : ok(set)
}

/** More values than D1's 100 parameters go in as one JSON text. */
function among(values: readonly string[]): SQL {
  return sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`
}

function matches(environmentId: string, key: ListedTarget, values: readonly string[]): SQL | undefined {
  switch (key) {
    case 'nodes':
      return sql`${nodes.id} IN ${among(values)}`
    case 'hostnames':
      return sql`${nodes.hostname} IN ${among(values)}`
    case 'platforms':
      return or(sql`${nodes.platform} IN ${among(values)}`, sql`${nodes.platformFamily} IN ${among(values)}`)
    case 'tags':
      return sql`${nodes.id} IN (SELECT node_id FROM node_tags WHERE environment_id = ${environmentId}
        AND tag IN ${among(values)})`
  }
}

async function knownValues(
  db: ControlDb,
  environmentId: string,
  here: SQL | undefined,
  key: ListedTarget,
  values: readonly string[],
): Promise<Set<string>> {
  if (key === 'tags') {
    const rows = await db
      .selectDistinct({ value: nodeTags.tag })
      .from(nodeTags)
      .innerJoin(nodes, eq(nodes.id, nodeTags.nodeId))
      .where(and(here, eq(nodeTags.environmentId, environmentId), sql`${nodeTags.tag} IN ${among(values)}`))
    return new Set(rows.map(({ value }) => value))
  }
  const column = { nodes: nodes.id, hostnames: nodes.hostname, platforms: nodes.platform }[key]
  const rows = await db
    .selectDistinct({ value: column })
    .from(nodes)
    .where(and(here, sql`${column} IN ${among(values)}`))
  const families = key === 'platforms' ? values.filter(isPlatformFamily) : []
  return new Set([...rows.map(({ value }) => value), ...families])
}

async function ordinalsAtOnce(db: ControlDb, wanted: SQL | undefined): Promise<NodeSet> {
  const rows = await db.select({ ordinal: nodes.ordinal }).from(nodes).where(wanted)
  return NodeSet.of(rows.map(({ ordinal }) => ordinal))
}

async function ordinalsInPages(db: ControlDb, wanted: SQL | undefined): Promise<NodeSet> {
  const set = new NodeSet()
  let last = -1
  for (;;) {
    const rows = await db
      .select({ ordinal: nodes.ordinal })
      .from(nodes)
      .where(and(wanted, gt(nodes.ordinal, last)))
      .orderBy(asc(nodes.ordinal))
      .limit(ORDINALS_PER_PAGE)
    for (const { ordinal } of rows) set.add(ordinal)
    if (rows.length < ORDINALS_PER_PAGE) return set
    last = rows.at(-1)?.ordinal ?? last
  }
}

/** Host names of nodes by id, of deleted ones too: what they answered stays theirs. */
export async function hostnamesOf(
  db: ControlDb,
  environmentId: string,
  nodeIds: readonly string[],
): Promise<Map<string, string>> {
  const ids = [...new Set(nodeIds)]
  if (ids.length === 0) return new Map()
  const rows = await db
    .select({ id: nodes.id, hostname: nodes.hostname })
    .from(nodes)
    .where(and(eq(nodes.environmentId, environmentId), inArray(nodes.id, among(ids))))
  return new Map(rows.map(({ id, hostname }) => [id, hostname]))
}
