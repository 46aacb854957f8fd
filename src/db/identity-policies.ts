/** Identity policies: what nodes would be called under one, and the change itself (fleet/identity-policy.ts). */

import { eq, sql, type SQL } from 'drizzle-orm'
import {
  BUILT_IN_SERIALS,
  BUILT_IN_UUIDS,
  storedPolicyOf,
  type IdentityKind,
  type IdentityPolicy,
} from '../fleet/identity-policy.ts'
import type { ClonePolicy } from '../fleet/clones.ts'
import { commitChange, type ChangeNote, type ControlDb } from './control.ts'
import { environments } from './schema-control.ts'
import { nodes } from './schema-nodes.ts'

/** Nodes that get their identity anew in one statement: D1 gives one 30 s, and this takes about one. */
export const REKEYED_AT_ONCE = 20_000

export interface PolicyChange {
  policy: IdentityPolicy
  clones: ClonePolicy
}

/** Sets both. Nodes get their identities under the policy now, of large fleets the first ones; `rekeyMore` goes on. */
export async function updateIdentityPolicy(
  db: ControlDb,
  note: ChangeNote,
  environmentId: string,
  { policy, clones }: PolicyChange,
  highestOrdinal: number,
): Promise<{ revision: number; rekeyFrom: number | null }> {
  const identityPolicy = JSON.stringify(storedPolicyOf(policy))
  const rekeyFrom = highestOrdinal < REKEYED_AT_ONCE ? null : REKEYED_AT_ONCE
  const { revision } = await commitChange(db, note, 'deployment', [
    db
      .update(environments)
      .set({ identityPolicy, clones, rekeyFrom })
      .where(eq(environments.id, environmentId)),
    rekey(db, environmentId, policy, 0),
  ])
  return { revision, rekeyFrom }
}

/** Gives the next nodes of an environment their identities; from which ordinal on there are more, or null. */
export async function rekeySlice(
  db: ControlDb,
  environmentId: string,
  policy: IdentityPolicy,
  fromOrdinal: number,
  highestOrdinal: number,
): Promise<number | null> {
  const next = fromOrdinal + REKEYED_AT_ONCE
  const rekeyFrom = highestOrdinal < next ? null : next
  await db.batch([
    rekey(db, environmentId, policy, fromOrdinal),
    // An operator may have changed the policy again meanwhile: then it began anew.
    db
      .update(environments)
      .set({ rekeyFrom })
      .where(
        sql`${environments.id} = ${environmentId} AND ${environments.rekeyFrom} = ${fromOrdinal}
        AND ${environments.identityPolicy} = ${JSON.stringify(storedPolicyOf(policy))}`,
      ),
  ])
  return rekeyFrom
}

// Of nodes that have one identity the newest gets it. The others keep what they are called: they go on with their keys,
// and whoever enrolls next is the one that has the identity. What was split stays apart.
function rekey(db: ControlDb, environmentId: string, policy: IdentityPolicy, fromOrdinal: number) {
  const wanted = identityOfRow(policy, 'nodes')
  return db.update(nodes).set({ identity: wanted }).where(sql`id IN (
      SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY wanted ORDER BY enrolled_at DESC, ordinal DESC) AS nth
        FROM (${namedNodes(environmentId, policy)}) WHERE ordinal >= ${fromOrdinal}
          AND ordinal < ${fromOrdinal + REKEYED_AT_ONCE} AND NOT stays)
      WHERE nth = 1)
    AND NOT EXISTS (SELECT 1 FROM nodes AS o
      WHERE o.environment_id = ${environmentId} AND o.identity = ${wanted} AND o.deleted_at IS NULL)`)
}

/** How many nodes have their identity for themselves, and which share one. */
export interface SharedIdentities {
  nodes: number
  /** Nodes that are called otherwise afterwards. */
  renamed: number
  /** Identities that more than one node has, and those nodes. */
  identities: number
  sharing: number
  examples: { identity: string; nodes: number; hostnames: string[] }[]
}

const MAX_EXAMPLES = 20
const MAX_HOSTNAMES = 5

/** What a policy would come to. Reads all nodes of the environment. */
export async function previewPolicy(
  db: ControlDb,
  environmentId: string,
  policy: IdentityPolicy,
): Promise<SharedIdentities> {
  const named = namedNodes(environmentId, policy)
  const groups = sql`SELECT wanted, COUNT(*) AS nodes, json_group_array(hostname) AS hostnames
    FROM (${named}) WHERE NOT isSplit GROUP BY wanted HAVING COUNT(*) > 1`
  const [totals] = await db.all<Omit<SharedIdentities, 'examples'>>(
    sql`SELECT COUNT(*) AS nodes, COALESCE(SUM(NOT stays), 0) AS renamed,
      (SELECT COUNT(*) FROM (${groups})) AS identities,
      (SELECT COALESCE(SUM(nodes), 0) FROM (${groups})) AS sharing FROM (${named})`,
  )
  const examples = await db.all<{ wanted: string; nodes: number; hostnames: string }>(
    sql`${groups} ORDER BY nodes DESC, wanted LIMIT ${MAX_EXAMPLES}`,
  )
  return {
    ...(totals ?? { nodes: 0, renamed: 0, identities: 0, sharing: 0 }),
    examples: examples.map(({ wanted, nodes, hostnames }) => ({
      identity: wanted,
      nodes,
      hostnames: [...new Set(JSON.parse(hostnames) as string[])].slice(0, MAX_HOSTNAMES),
    })),
  }
}

/** Living nodes with the identity that they have under a policy. `isSplit`: kept apart from another of that identity. */
function namedNodes(environmentId: string, policy: IdentityPolicy): SQL {
  return sql`SELECT id, ordinal, hostname, enrolled_at, wanted, isSplit, identity = wanted OR isSplit AS stays FROM (
    SELECT *, substr(identity, 1, length(wanted) + 1) = wanted || '#' AS isSplit FROM (
      SELECT id, ordinal, hostname, enrolled_at, identity,
        ${identityOfRow(policy, 'n')} AS wanted
      FROM nodes AS n WHERE environment_id = ${environmentId} AND deleted_at IS NULL))`
}

// The same as identitiesOf does with what an agent tells.
function identityOfRow(policy: IdentityPolicy, table: 'n' | 'nodes'): SQL {
  const kinds = policy.order.map((kind) =>
    identityOfKind(kind, policy, (column) => sql.raw(`${table}.${column}`)),
  )
  return sql`COALESCE(${sql.join(kinds, sql`, `)}, 'host:')`
}

function identityOfKind(kind: IdentityKind, policy: IdentityPolicy, of: (column: string) => SQL): SQL {
  const none = (built: readonly string[], own: readonly string[]) =>
    sql`(SELECT value FROM json_each(${JSON.stringify([...built, ...own, ''])}))`
  switch (kind) {
    case 'uuid':
      return sql`CASE WHEN ${of('hardware_uuid')} NOT IN ${none(BUILT_IN_UUIDS, policy.placeholderUuids)}
        THEN 'uuid:' || ${of('hardware_uuid')} END`
    case 'serial':
      return sql`CASE WHEN lower(${of('hardware_serial')}) NOT IN ${none(BUILT_IN_SERIALS, policy.placeholderSerials)}
        THEN 'serial:' || ${of('hardware_serial')} END`
    case 'instance':
      return sql`CASE WHEN ${of('instance_id')} <> '' THEN 'instance:' || ${of('instance_id')} END`
    case 'host':
      return sql`CASE WHEN ${of('host_identifier')} <> '' THEN 'host:' || ${of('host_identifier')} END`
  }
}
