/** What targets mean, in ordinals: the part that D1 knows. A deleted node is not there. */

import { and, asc, eq, gt, gte, inArray, isNull, or, sql, type SQL } from 'drizzle-orm'
import { NodeSet } from '../fleet/node-set.ts'
import { isPlatformFamily } from '../fleet/platform.ts'
import { comparedAs, unknownValues, type ListedTarget, type TargetFault } from '../fleet/targeting.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { NodeState } from '../fleet/standing.ts'
import type { ControlDb } from './control.ts'
import { inState } from './node-states.ts'
import { nodes, nodeTags } from './schema-nodes.ts'
import { isSeenTarget, ordinalsSeenWithAny, valuesSeen } from './seen-targets.ts'

/** Rows of one D1 answer: a million nodes are twenty pages, and none of them is large. */
const ORDINALS_PER_PAGE = 50_000

/** All nodes of an environment that are in a state. */
export function allNodes(
  db: ControlDb,
  environmentId: string,
  state: NodeState = 'active',
): Promise<NodeSet> {
  return ordinalsInPages(db, here(environmentId, state))
}

/** The nodes that a list means; a fault for each value that nothing here has. */
export async function nodesListed(
  db: ControlDb,
  environmentId: string,
  list: { key: ListedTarget; values: string[] },
  state: NodeState = 'active',
): Promise<Result<NodeSet, TargetFault[]>> {
  const values = [...new Set(list.values.map((value) => comparedAs(list.key, value)))]
  const faults = unknownValues(list, await knownValues(db, environmentId, list.key, values, state))
  if (faults.length > 0) return fail(faults)
  const wanted = and(here(environmentId, state), matches(environmentId, list.key, values))
  // Few nodes by index, or a walk along the ordinals: SQLite would take the walk for all of them.
  const byIndex = list.key === 'nodes' || list.key === 'hostnames'
  return ok(byIndex ? await ordinalsAtOnce(db, wanted) : await ordinalsInPages(db, wanted))
}

/** The nodes whose osquery is of a release that `isMeant` takes, by what their requests last said. */
export async function nodesOfVersions(
  db: ControlDb,
  environmentId: string,
  isMeant: (version: string) => boolean,
  state: NodeState = 'active',
): Promise<NodeSet> {
  const rows = await db
    .selectDistinct({ version: nodes.osqueryVersion })
    .from(nodes)
    .where(here(environmentId, state))
  const versions = rows.map(({ version }) => version).filter(isMeant)
  if (versions.length === 0) return new NodeSet()
  return ordinalsInPages(
    db,
    and(here(environmentId, state), sql`${nodes.osqueryVersion} IN ${among(versions)}`),
  )
}

/** The nodes that enrolled at or after a time: presence may not have heard of them yet. */
export function nodesEnrolledSince(db: ControlDb, environmentId: string, atMs: number): Promise<NodeSet> {
  return ordinalsInPages(
    db,
    and(eq(nodes.environmentId, environmentId), isNull(nodes.deletedAtMs), gte(nodes.enrolledAtMs, atMs)),
  )
}

/** How many of these nodes each platform has. */
export async function countByPlatform(
  db: ControlDb,
  environmentId: string,
  set: NodeSet,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  let last = -1
  for (;;) {
    const rows = await db
      .select({ ordinal: nodes.ordinal, platform: nodes.platform })
      .from(nodes)
      .where(and(eq(nodes.environmentId, environmentId), isNull(nodes.deletedAtMs), gt(nodes.ordinal, last)))
      .orderBy(asc(nodes.ordinal))
      .limit(ORDINALS_PER_PAGE)
    for (const { ordinal, platform } of rows) {
      if (set.has(ordinal)) counts[platform] = (counts[platform] ?? 0) + 1
    }
    if (rows.length < ORDINALS_PER_PAGE) return counts
    last = rows.at(-1)?.ordinal ?? last
  }
}

function here(environmentId: string, state: NodeState): SQL | undefined {
  return and(eq(nodes.environmentId, environmentId), inState(state))
}

/** More values than D1's 100 parameters go in as one JSON text. */
function among(values: readonly string[]): SQL {
  return sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`
}

function matches(environmentId: string, key: ListedTarget, values: readonly string[]): SQL | undefined {
  if (isSeenTarget(key)) return sql`${nodes.ordinal} IN ${ordinalsSeenWithAny(environmentId, key, values)}`
  switch (key) {
    case 'nodes':
      return sql`${nodes.id} IN ${among(values)}`
    case 'hostnames':
      return sql`${nodes.hostname} IN ${among(values)}`
    case 'platforms':
      return or(sql`${nodes.platform} IN ${among(values)}`, sql`${nodes.platformFamily} IN ${among(values)}`)
    case 'serials':
      return sql`lower(${nodes.hardwareSerial}) IN ${among(values)}`
    case 'uuids':
      return sql`lower(${nodes.hardwareUuid}) IN ${among(values)}`
    case 'tags':
      return sql`${nodes.id} IN (SELECT node_id FROM node_tags WHERE environment_id = ${environmentId}
        AND tag IN ${among(values)})`
  }
}

async function knownValues(
  db: ControlDb,
  environmentId: string,
  key: ListedTarget,
  values: readonly string[],
  state: NodeState,
): Promise<Set<string>> {
  if (isSeenTarget(key)) return valuesSeen(db, environmentId, key, values)
  if (key === 'tags') {
    const rows = await db
      .selectDistinct({ value: nodeTags.tag })
      .from(nodeTags)
      .innerJoin(nodes, eq(nodes.id, nodeTags.nodeId))
      .where(
        and(
          here(environmentId, state),
          eq(nodeTags.environmentId, environmentId),
          sql`${nodeTags.tag} IN ${among(values)}`,
        ),
      )
    return new Set(rows.map(({ value }) => value))
  }
  const column = {
    nodes: sql<string>`${nodes.id}`,
    hostnames: sql<string>`${nodes.hostname}`,
    platforms: sql<string>`${nodes.platform}`,
    serials: sql<string>`lower(${nodes.hardwareSerial})`,
    uuids: sql<string>`lower(${nodes.hardwareUuid})`,
  }[key]
  const rows = await db
    .selectDistinct({ value: column })
    .from(nodes)
    .where(and(here(environmentId, state), sql`${column} IN ${among(values)}`))
  const families = key === 'platforms' ? values.filter(isPlatformFamily) : []
  return new Set([...rows.map(({ value }) => value), ...families])
}

async function ordinalsAtOnce(db: ControlDb, wanted: SQL | undefined): Promise<NodeSet> {
  const rows = await db.select({ ordinal: nodes.ordinal }).from(nodes).where(wanted)
  return NodeSet.of(rows.map(({ ordinal }) => ordinal))
}

/** The ordinals of the nodes that a condition means, deleted ones too unless it says otherwise. */
export async function ordinalsInPages(db: ControlDb, wanted: SQL | undefined): Promise<NodeSet> {
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
