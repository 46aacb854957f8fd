/**
 * Which node an enroll is for, as SQL: a part of enroll's one statement (design 5), read before it writes. It reads node
 * tables only. Each look is one of an index, and most enrolls need the third alone.
 */

import type { EnrollingHost } from '../fleet/identity.ts'

/** An enroll with this instance id, or with this host identifier too, under an identity that was split. */
const BY_INSTANCE = `:identity || '#' || :instanceId`
const BY_HOST = `:identity || '#' || :instanceId || '@' || :hostIdentifier`

function living(identity: string): string {
  return `(SELECT identity FROM nodes WHERE environment_id = :environment AND identity = ${identity}
    AND deleted_at IS NULL)`
}

/** What operators merged or joined: who enrolls as one of these identities is that node. */
function aliases(identities: string): string {
  return `node_aliases AS a WHERE a.environment_id = :environment AND a.identity IN (${identities})`
}
/** A machine that was told apart before it was merged. */
const APART = `${BY_HOST}, ${BY_INSTANCE}`
function livingOfAlias(identities: string): string {
  return `(SELECT n.identity FROM nodes AS n WHERE n.deleted_at IS NULL
    AND n.id IN (SELECT a.node_id FROM ${aliases(identities)}) LIMIT 1)`
}

// The node of before the policy was changed, if what it told last names it the same under the new one: this enroll then
// gives it its new identity. Where many machines were one, the others are told apart by that.
// CROSS JOIN: the identities first. SQLite would rather walk through all nodes of the environment, for each new host.
const OF_ANOTHER_POLICY = `(SELECT n.identity FROM json_each(:otherIdentities) AS o
    CROSS JOIN nodes AS n ON n.environment_id = :environment AND n.deleted_at IS NULL
      AND n.identity IN (o.value, o.value || '#' || :instanceId, o.value || '#' || :instanceId || '@' || :hostIdentifier)
    WHERE :identity = CASE substr(:identity, 1, instr(:identity, ':'))
      WHEN 'uuid:' THEN 'uuid:' || n.hardware_uuid WHEN 'serial:' THEN 'serial:' || n.hardware_serial
      WHEN 'instance:' THEN 'instance:' || n.instance_id ELSE 'host:' || n.host_identifier END
    ORDER BY o.key LIMIT 1)`

/** Whether operators made this machine's own node a part of `n` after `n` was split: what they said last counts. */
const MERGED_SINCE = `EXISTS (SELECT 1 FROM nodes AS m WHERE m.environment_id = :environment AND m.merged_into = n.id
    AND m.identity = :identity AND m.deleted_at > n.clones_found_at)`

/**
 * `target`, one row: `identity`, that of the row to make or to renew; `apartFrom`, the node whose identity this is and
 * from which it is kept apart, or null. What was split stays split, in whatever order its machines enroll.
 */
export const TARGET = `base (identity) AS MATERIALIZED (
  SELECT COALESCE(${living(BY_HOST)}, ${living(BY_INSTANCE)}, ${livingOfAlias(APART)}, ${living(':identity')},
    ${livingOfAlias(':identity')}, ${OF_ANOTHER_POLICY}, :identity)),
holder AS MATERIALIZED (
  SELECT b.identity AS held, n.id, CASE
      WHEN n.split_by IS NULL OR :instanceId = '' THEN NULL
      WHEN EXISTS (SELECT 1 FROM ${aliases(APART)} AND a.node_id = n.id) OR ${MERGED_SINCE} THEN NULL
      WHEN n.instance_id <> :instanceId THEN ${BY_INSTANCE}
      WHEN n.split_by = 'host' AND n.host_identifier <> :hostIdentifier THEN ${BY_HOST} END AS apartAs
  FROM base AS b LEFT JOIN nodes AS n
    ON n.environment_id = :environment AND n.identity = b.identity AND n.deleted_at IS NULL),
target (identity, apartFrom) AS MATERIALIZED (
  SELECT COALESCE(apartAs, held), CASE WHEN apartAs IS NOT NULL THEN id
      WHEN id IS NULL AND :instanceId <> '' THEN (SELECT o.id FROM nodes AS o WHERE o.environment_id = :environment
        AND o.instance_id = :instanceId AND o.split_by = 'host' AND o.deleted_at IS NULL LIMIT 1) END
  FROM holder)`

/** The identity that a renewed node has from now on: only one of another policy changes. */
export const RENEWED_IDENTITY = `CASE
    WHEN excluded.identity = :identity OR substr(excluded.identity, 1, length(:identity) + 1) = :identity || '#'
      OR EXISTS (SELECT 1 FROM ${aliases(`${APART}, :identity`)} AND a.node_id = nodes.id)
    THEN excluded.identity ELSE :identity END`

/** The parameters of TARGET, beside `environment`. */
export const TARGET_PARAMETERS = ['identity', 'otherIdentities', 'instanceId', 'hostIdentifier'] as const

export function targetValues(host: EnrollingHost) {
  const { identity, otherIdentities, instanceId, hostIdentifier } = host
  return { identity, otherIdentities: JSON.stringify(otherIdentities), instanceId, hostIdentifier }
}
